"""All sessions of a gateway: who may come in, hello and refresh, and that a stop is told to everyone.

Guaranteed here: bounds on connections, tokens checked and their expiry enforced (10), resume or resync (5).
Next hop: ``feeds.py`` gives sessions their events.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

import structlog

from starwire import telemetry
from starwire.app import Authenticate, Registry
from starwire.clock import Clock, isoformat
from starwire.engine import Engine
from starwire.errors import Refused, Unauthenticated, first_line
from starwire.gateway.auth import KnowsSessions
from starwire.gateway.connection import Greet, Phase, Renew
from starwire.gateway.feed import Listener
from starwire.gateway.feeds import Feeds
from starwire.gateway.journeys import Journeys
from starwire.gateway.session import Session, Transport
from starwire.gateway.tasks import Tasks
from starwire.gateway.windows import address_key
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
from starwire.stream import Position, Start, start_reading

log = structlog.get_logger("starwire.gateway")


class Hub:
    """All sessions of a gateway. Everything runs on the event loop."""

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
        self.journeys: Journeys | None = None
        """Where the latest commands' journeys are kept, if anywhere; for ``/dev``."""
        self._authenticate = authenticate
        self._by_player: dict[str, int] = {}
        self._by_address: dict[str, int] = {}
        self._at_door: dict[str, int] = {}
        self._greeted = 0
        self._tasks = Tasks()
        self._feeds = Feeds(engine, limits, is_live=self._is_live, wrap=wrap, spawn=self._tasks.spawn)
        self._late = 0.0

    # Connections come and go

    def open(self, transport: Transport) -> Session:
        """A connection has been made; it must say hello.

        Who is refused takes no place: however slow to leave, they keep nobody out.
        """
        session = Session(self, transport)
        address = address_key(transport.address)
        if self.closing:
            session.close(1012, "the server is stopping")
        elif self._has_no_place(address):
            session.close(4429, "too many connections")
        else:
            self.sessions.add(session)
            for counts in (self._by_address, self._at_door):
                counts[address] = counts.get(address, 0) + 1
        return session

    def _has_no_place(self, address: str) -> bool:
        return (
            len(self.sessions) >= self.limits.connections
            or self._by_address.get(address, 0) >= self.limits.connections_per_address
            or self._at_door.get(address, 0) >= self.limits.unauthenticated_per_address
            or len(self.sessions) - self._greeted >= self.limits.unauthenticated
        )

    def leave(self, session: Session) -> None:
        """A connection is over."""
        if session not in self.sessions:
            return
        self.sessions.discard(session)
        address = address_key(session.address)
        _decrease(self._by_address, address)
        self._feeds.leave_all(session)
        if session.identity is None:
            _decrease(self._at_door, address)
        else:
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

    async def compare_heads(self) -> None:
        """Find in the table what a lossy broker did not bring."""
        await self._feeds.compare_heads()

    def compare_heads_soon(self) -> None:
        """As ``compare_heads``; nobody waits for it."""
        self._tasks.spawn(self._feeds.compare_heads())

    async def drain(self, reason: str, seconds: float) -> None:
        """Say goodbye to everyone, in batches, each with a time of its own to come back.

        Commands that were taken are answered first, for ``seconds`` at most for all batches together; after
        its goodbye a connection's commands are refused, so that a busy one does not hold up the stop.
        """
        self.closing = True
        sessions = list(self.sessions)
        deadline = self.clock.monotonic() + seconds
        for start in range(0, len(sessions), self.limits.drain_batch):
            batch = sessions[start : start + self.limits.drain_batch]
            for session in batch:
                if session.connection.phase is Phase.OPEN:
                    after = self.limits.reconnect_seconds * (0.2 + 0.8 * random.random())  # noqa: S311 - jitter
                    session.send(encode(Goodbye(reason, round(after, 2))))
                    session.connection.leaving = True
            await self._answered(batch, deadline)
            for session in batch:
                session.close(1012, reason)

    async def _answered(self, sessions: list[Session], deadline: float) -> None:
        """Wait until nothing that these sessions asked is unanswered, or the time is over for all."""
        while any(s.connection.in_flight > 0 for s in sessions if s in self.sessions):
            if self.clock.monotonic() > deadline:
                return
            await asyncio.sleep(0.01)

    # Hello and refresh

    def greet(self, session: Session, action: Greet) -> None:
        """Check the token of a hello, then let the session hear its streams."""
        self._tasks.spawn(self._greet(session, action))

    def renew(self, session: Session, action: Renew) -> None:
        """Check a new token for an open connection."""
        self._tasks.spawn(self._renew(session, action))

    async def _greet(self, session: Session, action: Greet) -> None:
        identity = await self._identify(session, action.id, "hello", action.hello.token)
        if identity is None:
            return
        try:
            streams = await self._feeds.hear(identity)
        except Unauthenticated as error:
            self._refuse(session, action.id, "hello", error)
            return
        except Exception as error:  # noqa: BLE001 - whatever keeps streams from being read, it may pass
            log.warning("streams_not_read", sub=identity.sub, error=first_line(error))
            refusal = Refused("unavailable", "The streams could not be read.")
            session.send(error_reply(action.id, "hello", refusal))
            session.close(1011, "the streams could not be read")
            return
        if self._by_player.get(identity.sub, 0) >= self.limits.connections_per_player:
            session.close(4429, "too many connections of this player")
        if session not in self.sessions or session.connection.phase is not Phase.GREETING:
            self._feeds.release(streams)
            return
        session.identity = identity
        self._by_player[identity.sub] = self._by_player.get(identity.sub, 0) + 1
        _decrease(self._at_door, address_key(session.address))
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
        session.send(ok_reply(action.id, "hello", encode(self._welcome(identity, streams, starts))))
        for name, start in starts.items():
            if not start.recovered:
                session.send(encode(Resync(name, start.offset)))
            self._feeds.join(session, name, start.offset)
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
        before, session.identity = session.identity, identity
        session.vitals.warned = False
        expires = None if identity.expires_at is None else isoformat(identity.expires_at)
        session.send(ok_reply(action.id, "refresh", encode({"expires_at": expires})))
        if identity.session != before.session:
            await self._feeds.confirm(session)  # revoked a moment ago, it was not yet this connection's

    async def _identify(
        self, session: Session, id: str | None, command: str, token: str, *, close: bool = True
    ) -> Identity | None:
        """The token's player; None when it was refused and the client has been told."""
        try:
            identity = await self._authenticate(token)
            if identity.expires_at is not None and identity.expires_at <= self.clock.now():
                raise Unauthenticated("The token has expired.")
            if session.identity is not None and not await self._is_live(identity):
                raise Unauthenticated("The session was signed out.", revoked=True)
        except Unauthenticated as error:
            self._refuse(session, id, command, error, close=close)
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
        if "\0" in identity.sub:
            session.close(4403, "the player's name holds U+0000")  # which no database keeps as it is
            return None
        return identity

    def _refuse(
        self, session: Session, id: str | None, command: str, error: Unauthenticated, *, close: bool = True
    ) -> None:
        session.send(error_reply(id, command, Refused("unauthorized", error.message)))
        log.warning("refused", address=session.address, reason=error.message)
        if close:
            session.close(4403 if error.revoked else 4401, error.message)

    async def _is_live(self, identity: Identity) -> bool:
        """Whether the login still exists, where somebody knows."""
        asked: object = self._authenticate
        return not isinstance(asked, KnowsSessions) or await asked.is_live(identity)

    def _welcome(self, identity: Identity, streams: dict[str, Position], starts: dict[str, Start]) -> Welcome:
        limits = self.limits
        return Welcome(
            player=identity.sub,
            name=identity.name,
            server_time=isoformat(self.clock.now()),
            epoch=self.engine.epoch,
            streams={
                name: StreamStart(streams[name].head, start.recovered) for name, start in starts.items()
            },
            limits={
                "frame_bytes": limits.frame_bytes,
                "commands_per_second": limits.commands_per_second,
                "commands_burst": limits.commands_burst,
                "commands_in_flight": limits.commands_in_flight,
                "resume_streams": limits.resume_streams,
                "ping_seconds": limits.ping_seconds,
            },
        )

    def listen(self, stream: str, listener: Listener) -> None:
        """Call a function with each event of a stream, for as long as the gateway runs."""
        self._feeds.listen(stream, listener)

    def catch_up(self, session: Session) -> None:
        """Give a session what it has missed, as far as it can take it now."""
        self._feeds.catch_up(session)

    # Telemetry

    def answered(self, session: Session, frame: ClientFrame, reply: bytes, arrived: float) -> None:
        """A command or view has its reply."""
        telemetry.command_seconds.observe(self.clock.monotonic() - arrived)
        if self.journeys is not None and frame.id is not None and session.player is not None:
            self.journeys.replied(session.player, frame.id)
        self.count(frame.command, "ok" if b'"ok":true' in reply[:256] else "error")

    def count(self, command: str, outcome: str) -> None:
        """Count an answer; names that no command has are counted as one."""
        known = command in self.registry.commands or command in self.registry.views
        telemetry.commands.labels(command if known else "other", outcome).inc()

    @property
    def busy(self) -> bool:
        """Whether something is being checked or read for a session."""
        return bool(self._tasks)


def _decrease(counts: dict[str, int], name: str) -> None:
    counts[name] -= 1
    if not counts[name]:
        del counts[name]
