"""Who hears which stream at this gateway, and that everyone gets each event once and in order.

A ``Feed`` is one stream that somebody hears here: its head, its recent events framed once for everybody, and
its sessions. A live event goes to the sessions whose cursor stands right before it; all others are behind,
and catch up from the recent events or, several at once, from the table.

Guaranteed here: no gap, no repeat, no part of a history (5); a slow session delays nobody (6); grants and
revocations act when their events are read (10). The table is the truth; what the broker says is a hint.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec
import structlog

from starwire import telemetry
from starwire.app import Authenticate, Registry
from starwire.batch import Event
from starwire.clock import Clock, isoformat
from starwire.engine import Engine
from starwire.errors import Refused, Unauthenticated
from starwire.gateway.connection import Greet, Phase, Renew
from starwire.gateway.session import Session, Transport
from starwire.identity import Identity
from starwire.limits import Limits
from starwire.protocol import (
    ClientFrame,
    Goodbye,
    Resync,
    Status,
    StreamStart,
    Welcome,
    encode,
    error_reply,
    ok_reply,
)
from starwire.store.reads import StoredEvent
from starwire.stream import Position, Start, start_reading

log = structlog.get_logger("starwire.gateway")

CONTROL = frozenset({"subscribed", "unsubscribed", "session_revoked"})
Listener = Callable[[Event], None]


class Entry(NamedTuple):
    """An event as it waits in memory: framed once for everybody."""

    offset: int
    framed: bytes
    control: tuple[str, bytes] | None
    """Event name and frame, of those that act on the session."""


@dataclass(slots=True)
class Feed:
    """One stream that somebody hears at this gateway."""

    name: str
    head: int
    recent: deque[Entry]
    sessions: set[Session] = field(default_factory=set)
    listeners: list[Listener] = field(default_factory=list)


class _Control(msgspec.Struct):
    class Data(msgspec.Struct):
        stream: str = ""
        offset: int = 0
        session: str = ""

    data: Data


_control = msgspec.json.Decoder(_Control)


class Hub:
    """All sessions of a gateway and the streams that they hear. Everything runs on the event loop."""

    def __init__(
        self,
        registry: Registry,
        engine: Engine,
        clock: Clock,
        limits: Limits,
        authenticate: Authenticate,
        *,
        wrap: Callable[[bytes], bytes],
    ) -> None:
        self.registry = registry
        self.engine = engine
        self.clock = clock
        self.limits = limits
        self.wrap = wrap
        self.sessions: set[Session] = set()
        self.closing = False
        self._authenticate = authenticate
        self._feeds: dict[str, Feed] = {}
        self._by_player: dict[str, int] = {}
        self._by_address: dict[str, int] = {}
        self._greeted = 0
        self._behind: dict[tuple[str, int], set[Session]] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._reader: asyncio.Task[None] | None = None
        self._late = 0.0
        engine.broker.attach(self.deliver)

    # Connections come and go

    def open(self, transport: Transport) -> Session:
        """A connection has been made; it must say hello."""
        session = Session(self, transport)
        self.sessions.add(session)
        address = transport.address
        self._by_address[address] = self._by_address.get(address, 0) + 1
        if self.closing:
            session.close(1012, "the server is stopping")
        elif (
            len(self.sessions) > self.limits.connections
            or self._by_address[address] > self.limits.connections_per_address
            or len(self.sessions) - self._greeted > self.limits.unauthenticated
        ):
            session.close(4429, "too many connections")
        return session

    def leave(self, session: Session) -> None:
        """A connection is over."""
        if session not in self.sessions:
            return
        self.sessions.discard(session)
        _decrease(self._by_address, session.address)
        for stream in list(session.cursors):
            self._leave_feed(session, stream)
        if session.identity is not None:
            _decrease(self._by_player, session.identity.sub)
            self._greeted -= 1
            telemetry.connections.dec()

    def check(self) -> None:
        """Keep every session's deadlines, and tell lateness. Called each second by one timer."""
        now = self.clock.monotonic()
        for session in list(self.sessions):
            session.check(now)
        late = self.engine.lateness
        late = late if late >= self.limits.lateness_seconds else 0.0
        telemetry.lateness.set(late)
        if late or self._late:
            self.broadcast(encode(Status(lateness=round(late, 1))))
        self._late = late

    def broadcast(self, frame: bytes) -> None:
        """Send a frame to every open session that can take it."""
        framed = self.wrap(frame)
        for session in self.sessions:
            if session.writable and session.connection.phase is Phase.OPEN:
                session.write(framed)

    async def drain(self, reason: str) -> None:
        """Say goodbye to everyone, in batches, each with a time of its own to come back."""
        self.closing = True
        spread = self.limits.reconnect_seconds
        sessions = list(self.sessions)
        for start in range(0, len(sessions), self.limits.drain_batch):
            for session in sessions[start : start + self.limits.drain_batch]:
                if session.connection.phase is Phase.OPEN:
                    after = round(random.uniform(0.2, 1) * spread, 2)
                    session.send(encode(Goodbye(reason, after)))
                session.close(1012, reason)
            await asyncio.sleep(0)

    # Hello and refresh

    def greet(self, session: Session, action: Greet) -> None:
        """Check the token of a hello, then let the session hear its streams."""
        self._spawn(self._greet(session, action))

    def renew(self, session: Session, action: Renew) -> None:
        """Check a new token for an open connection."""
        self._spawn(self._renew(session, action))

    async def _greet(self, session: Session, action: Greet) -> None:
        identity = await self._identify(session, action.id, "hello", action.hello.token)
        if identity is None:
            return
        if self._by_player.get(identity.sub, 0) >= self.limits.connections_per_player:
            session.close(4429, "too many connections of this player")
            return
        streams = await self._hear(session, identity)
        if session not in self.sessions or session.connection.phase is not Phase.GREETING:
            for stream in streams:
                self._release(stream)
            return
        session.identity = identity
        self._by_player[identity.sub] = self._by_player.get(identity.sub, 0) + 1
        self._greeted += 1
        telemetry.connections.inc()
        log.info("connected", sub=identity.sub, address=session.address)
        hello = action.hello
        same_epoch = hello.epoch is None or hello.epoch == self.engine.epoch
        starts = {
            name: start_reading(position, hello.resume.get(name), same_epoch=same_epoch)
            for name, position in streams.items()
        }
        session.since = streams[f"player:{identity.sub}"].head
        session.send(ok_reply(action.id, "hello", encode(self._welcome(identity, starts))))
        for name, start in starts.items():
            if not start.recovered:
                session.send(encode(Resync(name, start.offset)))
            session.cursors[name] = start.offset
            self._feeds[name].sessions.add(session)
        session.perform(session.connection.welcome(self.clock.monotonic()))
        self.catch_up(session)

    async def _renew(self, session: Session, action: Renew) -> None:
        identity = await self._identify(session, action.id, "refresh", action.token, close=False)
        if identity is None or session.identity is None:
            return
        if identity.sub != session.identity.sub:
            refusal = Refused("unauthorized", "The token is another player's.")
            session.send(error_reply(action.id, "refresh", refusal))
            return
        session.identity = identity
        session.vitals.warned = False
        expires = None if identity.expires_at is None else isoformat(identity.expires_at)
        session.send(ok_reply(action.id, "refresh", encode({"expires_at": expires})))

    async def _identify(
        self, session: Session, id: str | None, command: str, token: str, *, close: bool = True
    ) -> Identity | None:
        """The token's player; None when it was refused and the client has been told."""
        try:
            identity = await self._authenticate(token)
        except Unauthenticated as error:
            session.send(error_reply(id, command, Refused("unauthorized", error.message)))
            log.warning("refused", address=session.address, reason=error.message)
            if close:
                session.close(4403 if error.revoked else 4401, error.message)
            return None
        except Exception:
            log.exception("authentication_failed", address=session.address)
            session.send(error_reply(id, command, Refused("unavailable", "The token could not be checked.")))
            if close:
                session.close(1011, "the token could not be checked")
            return None
        if len(identity.sub.encode()) > self.limits.player_bytes:
            session.close(4403, f"the player's name exceeds {self.limits.player_bytes} bytes")
            return None
        return identity

    def _welcome(self, identity: Identity, starts: dict[str, Start]) -> Welcome:
        limits = self.limits
        return Welcome(
            player=identity.sub,
            name=identity.name,
            server_time=isoformat(self.clock.now()),
            epoch=self.engine.epoch,
            streams={name: StreamStart(start.offset, start.recovered) for name, start in starts.items()},
            limits={
                "frame_bytes": limits.frame_bytes,
                "commands_per_second": limits.commands_per_second,
                "commands_burst": limits.commands_burst,
                "commands_in_flight": limits.commands_in_flight,
                "ping_seconds": limits.ping_seconds,
            },
        )

    async def _hear(self, session: Session, identity: Identity) -> dict[str, Position]:
        """Subscribe first, then read where the streams stand; each is retained until it is joined or released."""
        positions = await self.engine.streams_of(identity.sub)
        new = [name for name in positions if name not in self._feeds]
        for name in positions:
            self._retain(name)
        if new:
            positions.update(await self.engine.positions(new))
        for name, position in positions.items():
            feed = self._feeds[name]
            feed.head = max(feed.head, position.head)
        return positions

    # Feeds

    def listen(self, stream: str, listener: Listener) -> None:
        """Call a function with each event of a stream, for as long as the gateway runs."""
        self._retain(stream).listeners.append(listener)

    def _retain(self, stream: str) -> Feed:
        feed = self._feeds.get(stream)
        if feed is None:
            feed = Feed(stream, 0, deque(maxlen=self.limits.recent_events))
            self._feeds[stream] = feed
            self.engine.broker.subscribe(stream)
        return feed

    def _release(self, stream: str) -> None:
        feed = self._feeds.get(stream)
        if feed is not None and not feed.sessions and not feed.listeners:
            del self._feeds[stream]
            self.engine.broker.unsubscribe(stream)

    def _leave_feed(self, session: Session, stream: str) -> None:
        session.cursors.pop(stream, None)
        feed = self._feeds.get(stream)
        if feed is not None:
            feed.sessions.discard(session)
            self._release(stream)

    def deliver(self, events: Sequence[Event]) -> None:
        """Committed events have come from the broker."""
        for event in events:
            feed = self._feeds.get(event.stream)
            if feed is None or event.offset <= feed.head:
                continue
            gap = event.offset > feed.head + 1
            if gap:
                feed.recent.clear()
            feed.head = event.offset
            entry = self._entry(event)
            feed.recent.append(entry)
            for listener in feed.listeners:
                listener(event)
            before, told = event.offset - 1, 0
            for session in list(feed.sessions) if entry.control else feed.sessions:
                if session.cursors[feed.name] == before and session.writable:
                    session.cursors[feed.name] = event.offset
                    session.write(entry.framed)
                    told += 1
                    if entry.control:
                        self._obey(session, entry)
                elif gap and session.writable:
                    self._need(session, feed)
            telemetry.pushes.inc(told)

    def _entry(self, event: Event | StoredEvent) -> Entry:
        control = (event.event, event.frame) if event.event in CONTROL else None
        return Entry(event.offset, self.wrap(event.frame), control)

    def _obey(self, session: Session, entry: Entry) -> None:
        """Act on a grant or a revocation that this session has just read."""
        if entry.control is None or entry.offset <= session.since:
            return
        event, frame = entry.control
        data = _control.decode(frame).data
        if event == "session_revoked":
            if session.identity is not None and session.identity.session == data.session:
                session.close(4403, "the session was revoked")
        elif event == "unsubscribed":
            self._leave_feed(session, data.stream)
        elif data.stream not in session.cursors:
            self._spawn(self._join(session, data.stream, data.offset))

    async def _join(self, session: Session, stream: str, offset: int) -> None:
        new = stream not in self._feeds
        feed = self._retain(stream)
        feed.sessions.add(session)
        session.cursors[stream] = offset
        if new:
            positions = await self.engine.positions([stream])
            feed.head = max(feed.head, positions[stream].head)
        if session not in self.sessions:
            self._leave_feed(session, stream)
            return
        self.catch_up(session)

    # Catching up

    def catch_up(self, session: Session) -> None:
        """Give a session what it has missed, as far as it can take it now."""
        for stream in list(session.cursors):
            if not session.writable:
                return
            feed = self._feeds.get(stream)
            if feed is not None and stream in session.cursors and session.cursors[stream] < feed.head:
                self._need(session, feed)

    def _need(self, session: Session, feed: Feed) -> None:
        cursor = session.cursors[feed.name]
        if feed.recent and cursor >= feed.recent[0].offset - 1:
            self._give(session, feed.name, feed.recent)
            return
        self._behind.setdefault((feed.name, cursor), set()).add(session)
        if self._reader is None:
            self._reader = self._spawn(self._read_behind())

    def _give(self, session: Session, stream: str, entries: Sequence[Entry] | deque[Entry]) -> None:
        told = 0
        for entry in list(entries):
            cursor = session.cursors.get(stream)
            if cursor is None or not session.writable or session.connection.phase is Phase.CLOSED:
                break
            if entry.offset <= cursor:
                continue
            session.cursors[stream] = entry.offset
            session.write(entry.framed)
            told += 1
            if entry.control:
                self._obey(session, entry)
        telemetry.pushes.inc(told)

    async def _read_behind(self) -> None:
        """Read for everyone who is behind, set by set, until nobody is."""
        try:
            while self._behind:
                wanted, self._behind = self._behind, {}
                limit = self.limits.catch_up_events
                try:
                    pages = await self.engine.history([(stream, after, limit) for stream, after in wanted])
                except Exception:
                    log.exception("history_failed")
                    await asyncio.sleep(1)
                    self._behind = {**wanted, **self._behind}
                    continue
                for ((stream, after), sessions), page in zip(wanted.items(), pages, strict=True):
                    self._give_page(stream, after, sessions, page)
        finally:
            self._reader = None

    def _give_page(self, stream: str, after: int, sessions: set[Session], page: list[StoredEvent]) -> None:
        entries = [self._entry(event) for event in page]
        for session in sessions:
            feed = self._feeds.get(stream)
            if feed is None or session.cursors.get(stream) != after:
                continue
            if not entries or entries[0].offset != after + 1:
                session.cursors[stream] = feed.head
                session.send(encode(Resync(stream, feed.head)))
                continue
            self._give(session, stream, entries)
            if stream in session.cursors and session.writable and session.cursors[stream] < feed.head:
                self._need(session, feed)

    # Telemetry

    def answered(self, session: Session, frame: ClientFrame, reply: bytes, arrived: float) -> None:
        """A command or view has its reply."""
        telemetry.command_seconds.observe(self.clock.monotonic() - arrived)
        self.count(frame.command, "ok" if b'"ok":true' in reply[:256] else "error")

    def count(self, command: str, outcome: str) -> None:
        """Count an answer; names that no command has are counted as one."""
        known = command in self.registry.commands or command in self.registry.views
        telemetry.commands.labels(command if known else "other", outcome).inc()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)
        return task

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("task_failed", exc_info=task.exception())

    @property
    def busy(self) -> bool:
        """Whether something is being checked or read for a session."""
        return bool(self._tasks)


def _decrease(counts: dict[str, int], name: str) -> None:
    counts[name] -= 1
    if not counts[name]:
        del counts[name]
