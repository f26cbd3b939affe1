"""Every bound, with its unit in its name and its reason beside it.

A setting ``STARWIRE_<NAME>`` overrides each. Relations between bounds are checked when they are made.
"""

from __future__ import annotations

import msgspec

from starwire.errors import ConfigurationError

MOST = {"days": 36_500, "hours": 876_000}  # a hundred years: longer ago is before the calendar begins
"""The greatest value of a bound with this unit; of all others it is a thousand million."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """The bounds of one server."""

    # At the socket
    hello_seconds: float = 5.0  # a page has its token at hand; who says nothing this long is not a page
    frame_bytes: int = 65_536  # a command is a few hundred bytes; OWASP advises at most 64 KB
    greeting_bytes: int = 65_536  # of frames of one connection that wait until its hello is answered
    request_seconds: float = 10.0  # for a whole HTTP request, an upgrade too; a bad network needs three
    body_bytes_per_second: float = 1_000.0  # a body has that much more time: slower than any modem
    header_bytes: int = 16_384  # of one HTTP request, an upgrade too; as most servers allow
    requests: int = 2_000  # connections whose request is not whole; past it the oldest makes room
    pipelined_requests: int = 16  # of one connection, behind the one being answered; browsers send none
    auth_body_bytes: int = 16_384  # of a request to /auth; a password of the longest kind fits ten times
    command_id_bytes: int = 64  # stored for every command
    player_bytes: int = 128  # an OpenID `sub` is at most 255 ASCII characters; few come near
    commands_per_second: float = 50.0  # sustained, for each connection
    commands_burst: int = 200  # a page that comes back sends what it had queued
    commands_in_flight: int = 64  # for each connection, commands and views together
    abuse_strikes: int = 20  # bad frames within `abuse_seconds` before the connection is closed with 4400
    abuse_seconds: float = 60.0
    connections: int = 20_000  # of one gateway; 10 KB each
    connections_per_player: int = 20  # tabs and devices
    connections_per_address: int = 5_000  # a school or an office behind one address
    unauthenticated: int = 2_000  # sockets that have not said hello
    unauthenticated_per_address: int = 1_000  # of those: no address alone fills the door
    resume_streams: int = 256  # in one hello
    subscriptions: int = 1_000  # streams that one player hears

    # Writing to the socket
    write_high_bytes: int = 65_536  # past it nothing more is queued for this connection
    write_low_bytes: int = 16_384  # below it the connection goes on from its cursors
    unsent_bytes: int = 8_388_608  # of replies that a full connection has asked for; past it the end
    stalled_seconds: float = 30.0  # a reader that takes nothing this long is aborted, and resumes later
    ping_seconds: float = 20.0  # a ping to those that were silent this long…
    pong_seconds: float = 20.0  # …and an end to those that do not answer: dead peers within 45 s
    close_seconds: float = 5.0  # for the closing handshake
    dropped_bytes: int = 4_194_304  # taken from one that is closed for what it sends, until it has heard

    # Streams
    recent_events: int = 128  # of each stream that somebody hears, kept in memory
    recent_bytes: int = 262_144  # of those together: three of the largest, or all of 2 KB
    catch_up_events: int = 256  # read from the table for one stream at once
    asked_at_once: int = 256  # players, streams and sessions of waiting hellos, in one read
    retained_events: int = 10_000  # of each stream
    retained_days: int = 30

    # Engine
    pending_commands: int = 10_000  # waiting for the writer; past it `overloaded`
    pending_views: int = 2_000
    batch_commands: int = 256  # in one transaction
    batch_due: int = 512  # due processes in one transaction
    batch_seconds: float = 0.05  # the transaction ends after this; the others wait no longer
    key_due: int = 128  # of one key in one transaction; its commands are `overloaded` meanwhile
    overloaded_seconds: float = 1.0  # the advice in `retry_after`
    view_threads: int = 4  # reader connections
    result_bytes: int = 1_048_576  # of one view or command
    event_bytes: int = 65_536  # of one event: everyone who hears its stream gets it
    reply_hours: int = 24  # how long a reply is kept for a repeated command
    retry_base_seconds: float = 1.0
    retry_cap_seconds: float = 3_600.0
    attempts: int = 8  # then the process is `failed`, one to two minutes after the first
    prune_seconds: float = 60.0  # between two rounds of the pruner
    prune_rows: int = 5_000  # in one statement, so that the writer is not held up
    finished_days: int = 7  # how long a finished process stays in the archive

    # Distributed engine
    horizon_seconds: float = 30.0  # how far ahead delayed tasks exist
    bucket_seconds: float = (
        0.05  # due times are rounded up to it: one delayed task for each partition and bucket
    )
    tasks_in_flight: int = 2  # command tasks of one gateway; about the number of workers
    gather_seconds: float = 0.005  # at most: a task waits so long for those whom the last one has answered
    command_seconds: float = 10.0  # then an unanswered command is dropped wherever it waits
    transaction_seconds: float = 5.0  # of the database's statement time-out; nothing executes for longer
    unanswered_seconds: float = 1.0  # then a gateway looks for the replies of a batch, and publishes it again
    publish_seconds: float = 2.0  # for handing a task to the broker
    lease_seconds: float = 6.0  # of the leading scheduler
    lease_renew_seconds: float = 2.0
    sweep_seconds: float = 1.0  # due work older than this was lost on the way
    heads_seconds: float = 3.0  # between two comparisons of stream heads
    heads_at_once: int = 1_000  # of streams, in one statement of such a comparison

    # Accounts
    access_seconds: int = 900
    refresh_days: int = 30
    password_bytes: int = 1_024
    password_characters: int = 8  # at least
    hashing_threads: int = 2  # argon2 takes 64 MB and tens of milliseconds each
    hashing_queue: int = 64
    logins_per_minute: int = 30  # for each address
    login_failures_per_minute: int = 10  # for each name at each address: a hand that mistypes
    login_failures_per_hour: int = 300  # for each name; not where its player has signed in lately
    refreshes_per_minute: int = 600  # for each address, sign-outs too: a school after a restart
    counted_keys: int = 20_000  # addresses and names whose tries are counted; 200 bytes each
    guests_per_minute: int = 60  # for each address
    token_warning_seconds: float = 60.0  # before expiry, `status {token_expires_in}`

    # Tokens of an OpenID provider
    openid_leeway_seconds: float = 30.0  # how far its clock and ours may differ
    openid_keys_seconds: float = 3_600.0  # then its keys are fetched again; meanwhile the old ones serve
    openid_stale_seconds: float = 86_400.0  # …up to this age, should it be away: a day to mend it
    openid_refetch_seconds: float = 10.0  # between two fetches, whatever tokens come
    openid_fetch_seconds: float = 4.0  # for one fetch; below `hello_seconds`, or nobody hears of it
    openid_document_bytes: int = 262_144  # what it publishes has a few thousand

    # Liveness
    beat_seconds: float = 5.0
    beat_late_seconds: float = 15.0  # an older beat makes /readyz fail
    lateness_seconds: float = 2.0  # due work later than this is told to clients
    drain_seconds: float = 10.0  # for open connections when the server stops
    drain_batch: int = 500  # connections that are told goodbye at once
    reconnect_seconds: float = 5.0  # the spread of `reconnect_after`
    journeys: int = 200  # of the latest commands, kept for /dev

    def __post_init__(self) -> None:
        relations = (
            (self.write_low_bytes < self.write_high_bytes, "write_low_bytes must be below write_high_bytes"),
            (
                self.write_high_bytes + self.result_bytes <= self.unsent_bytes,
                "unsent_bytes must not be below write_high_bytes + result_bytes",
            ),
            (self.ping_seconds + self.pong_seconds <= 45, "ping_seconds + pong_seconds must be at most 45"),
            (self.key_due < self.batch_due, "key_due must be below batch_due"),
            (self.beat_seconds < self.beat_late_seconds, "beat_seconds must be below beat_late_seconds"),
            (
                self.lease_renew_seconds < self.lease_seconds,
                "lease_renew_seconds must be below lease_seconds",
            ),
            (self.bucket_seconds < self.horizon_seconds, "bucket_seconds must be below horizon_seconds"),
            (self.commands_in_flight <= self.pending_commands, "commands_in_flight exceeds pending_commands"),
            (self.catch_up_events <= self.retained_events, "catch_up_events exceeds retained_events"),
            (
                self.openid_refetch_seconds <= self.openid_keys_seconds <= self.openid_stale_seconds,
                "openid_refetch_seconds, openid_keys_seconds and openid_stale_seconds must rise",
            ),
        )
        for holds, sentence in relations:
            if not holds:
                raise ConfigurationError(f"limits: {sentence}")
        for field in msgspec.structs.fields(self):
            if getattr(self, field.name) <= 0:
                raise ConfigurationError(f"limits: {field.name} must be more than 0")
            most = MOST.get(field.name.rpartition("_")[2], 1_000_000_000)
            if getattr(self, field.name) > most:
                raise ConfigurationError(f"limits: {field.name} must be at most {most:,}")
