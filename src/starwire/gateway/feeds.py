"""Who hears which stream at this gateway, and that everyone gets each event once and in order.

A ``Feed`` is one stream that somebody hears here: its head, its recent events framed once for everybody, and
its sessions. A live event goes to the sessions whose cursor stands right before it; all others are behind,
and catch up from the recent events or, several at once, from the table.

Guaranteed here: no gap, no repeat, no part of a history (5); a slow session delays nobody (6); grants and
revocations act when their events are read, and are read from their tables where those events are gone (10).
The table is the truth; what the broker says is a hint.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from typing import Any

import structlog

from starwire import telemetry
from starwire.batch import Event
from starwire.engine import Engine
from starwire.errors import Unauthenticated, first_line
from starwire.gateway.behind import EVENTS_AT_ONCE, Behind
from starwire.gateway.connection import Phase
from starwire.gateway.feed import CONTROL, Entry, Feed, Listener, Recent, read_control
from starwire.gateway.session import Session
from starwire.identity import Identity
from starwire.limits import Limits
from starwire.protocol import Resync, encode
from starwire.store.reads import StoredEvent
from starwire.stream import Position

log = structlog.get_logger("starwire.gateway")

REVOKED = "the session was revoked"
IsLive = Callable[[Identity], Awaitable[bool]]
Spawn = Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]]


class Feeds:
    """The streams that somebody hears at this gateway."""

    def __init__(
        self,
        engine: Engine,
        limits: Limits,
        *,
        is_live: IsLive,
        wrap: Callable[[bytes], bytes],
        spawn: Spawn,
    ) -> None:
        self._engine = engine
        self._limits = limits
        self._is_live = is_live
        self._wrap = wrap
        self._spawn = spawn
        self._feeds: dict[str, Feed] = {}
        self._behind: Behind[Session] = Behind(limits.catch_up_events)
        self._reader: asyncio.Task[None] | None = None
        self._starting_over: set[Session] = set()
        engine.broker.attach(self.deliver)

    # Streams come and go

    async def hear(self, identity: Identity) -> dict[str, Position]:
        """Retain the streams of a player and tell where each stood; each must be joined or released.

        Subscribe first, then read: what is published in between is heard. What is told are the positions of
        the one snapshot that also said which streams there are, so that a grant or a revocation committed
        since then lies ahead of the session, and is obeyed. One committed before is not, so the login is
        asked about after that snapshot: it ends first, and is announced then.

        Raises:
            Unauthenticated: the login is over.
        """
        positions = await self._engine.streams_of(identity.sub)
        new = [name for name in positions if name not in self._feeds]
        for name in positions:
            self._retain(name).held += 1
        later: dict[str, Position] = {}
        try:
            if not await self._is_live(identity):
                raise Unauthenticated("The session was signed out.", revoked=True)
            if new:
                await self._engine.broker.ready(new)
                later = await self._engine.positions(new)
        except BaseException:
            self.release(positions)
            raise
        for name, position in (positions | later).items():
            self._advance(self._feeds[name], position.head)
        return positions

    def join(self, session: Session, stream: str, offset: int) -> None:
        """The session hears a stream that ``hear`` has retained, from after ``offset``."""
        self._add(session, stream, offset)
        feed = self._feeds[stream]
        feed.held -= 1
        for entry in feed.recent:
            if entry.control is not None and entry.control[0] == "session_revoked":
                self._obey(session, entry)  # at once, though there may be much to read before it

    def release(self, streams: Iterable[str]) -> None:
        """Streams that ``hear`` has retained are not joined after all."""
        for stream in streams:
            self._feeds[stream].held -= 1
            self._release(stream)

    def _advance(self, feed: Feed, head: int) -> None:
        """The table is ahead of what was announced here: who hears the stream reads the difference."""
        if head <= feed.head:
            return
        feed.head = head
        feed.recent.clear()
        for session in feed.sessions:
            if session.writable and session.cursors[feed.name] < head:
                self._need(session, feed)
            elif not session.writable and feed.name == _own(session):
                self._spawn(self.confirm(session))  # the difference may revoke it, and it is slow to read

    def _add(self, session: Session, stream: str, offset: int) -> None:
        session.cursors[stream] = offset
        self._retain(stream).sessions.add(session)

    def leave_all(self, session: Session) -> None:
        """The session is over."""
        for stream in list(session.cursors):
            self._leave_feed(session, stream)

    def listen(self, stream: str, listener: Listener) -> None:
        """Call a function with each event of a stream, for as long as the gateway runs."""
        self._retain(stream).listeners.append(listener)

    def _retain(self, stream: str) -> Feed:
        feed = self._feeds.get(stream)
        if feed is None:
            feed = Feed(stream, 0, Recent(self._limits.recent_events, self._limits.recent_bytes))
            self._feeds[stream] = feed
            self._engine.broker.subscribe(stream)
        return feed

    def _release(self, stream: str) -> None:
        feed = self._feeds.get(stream)
        if feed is not None and not (feed.sessions or feed.listeners or feed.held):
            del self._feeds[stream]
            self._engine.broker.unsubscribe(stream)

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
            if feed.held or len(feed.sessions) > 1:
                feed.recent.append(entry)
            else:
                feed.recent.clear()  # who is alone reads from the table what it missed: most streams are such
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
                    continue
                if gap and session.writable:
                    self._need(session, feed)
                if entry.control and entry.control[0] == "session_revoked":
                    self._obey(session, entry)  # at once, however far behind the session is
            telemetry.pushes.inc(told)

    def _entry(self, event: Event | StoredEvent) -> Entry:
        control = (event.event, event.frame) if event.event in CONTROL else None
        return Entry(event.offset, self._wrap(event.frame), control)

    def _obey(self, session: Session, entry: Entry) -> None:
        """Act on a grant or a revocation that this session has just read."""
        if entry.control is None or entry.offset <= session.since:
            return
        event, frame = entry.control
        data = read_control(frame)
        if event == "session_revoked":
            if session.identity is not None and session.identity.session == data.session:
                session.close(4403, REVOKED)
        elif event == "unsubscribed":
            self._leave_feed(session, data.stream)
        elif data.stream not in session.cursors:
            new = data.stream not in self._feeds
            self._add(session, data.stream, data.offset)
            self._spawn(self._prime(session, data.stream, new=new))

    async def _prime(self, session: Session, stream: str, *, new: bool) -> None:
        """A session has joined a stream: what was published since the grant comes now."""
        if new:
            await self._engine.broker.ready([stream])
            positions = await self._engine.positions([stream])
            feed = self._feeds.get(stream)
            if feed is not None:
                self._advance(feed, positions[stream].head)
        self.catch_up(session)

    async def compare_heads(self) -> None:
        """Find in the table what a lossy broker did not bring."""
        names = list(self._feeds)
        most = self._limits.heads_at_once
        for start in range(0, len(names), most):
            positions = await self._engine.positions(names[start : start + most])
            lost = {
                name: position
                for name, position in positions.items()
                if (feed := self._feeds.get(name)) is not None and position.head > feed.head
            }
            if lost:
                log.info("events_were_lost", streams=len(lost), first=next(iter(lost)))
                await self._hear_lost(lost)

    async def _hear_lost(self, lost: dict[str, Position]) -> None:
        """Take the events after our heads from the table, as if they had just come."""
        for name, position in lost.items():
            if name in self._feeds:
                self._advance(self._feeds[name], position.pruned)
        while wanted := self._pages_after_heads(lost):
            pages = await self._engine.history(wanted)
            for (name, after, _), page in zip(wanted, pages, strict=True):
                self.deliver([Event(e.stream, e.offset, e.event, e.frame) for e in page])
                feed = self._feeds.get(name)
                if feed is not None and feed.head == after:  # pruned meanwhile
                    self._advance(feed, lost[name].head)

    def _pages_after_heads(self, lost: dict[str, Position]) -> list[tuple[str, int, int]]:
        wanted, events, limit = [], 0, self._limits.catch_up_events
        for name, position in lost.items():
            feed = self._feeds.get(name)
            if feed is not None and feed.head < position.head and events < EVENTS_AT_ONCE:
                wanted.append((name, feed.head, limit))
                events += min(limit, position.head - feed.head)
        return wanted

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
        if session.connection.phase is Phase.CLOSED:
            return  # it would be given nothing, and asked for again until the peer has answered the close
        cursor = session.cursors[feed.name]
        if cursor >= feed.head:
            return  # granted at an offset that was announced here only later
        if feed.recent and cursor >= feed.recent.first - 1:
            self._give(session, feed.name, feed.recent)
            return
        self._behind.add(feed.name, [(cursor, session)])
        if self._reader is None:
            self._reader = self._spawn(self._read_behind())

    def _give(self, session: Session, stream: str, entries: Iterable[Entry]) -> None:
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
        limit = self._limits.catch_up_events
        try:
            while self._behind:
                shared = self._behind.take(self._head_of)
                try:
                    pages = await self._engine.history([(stream, after, limit) for stream, after in shared])
                except Exception:
                    log.exception("history_failed")
                    for (stream, _), readers in shared.items():
                        self._behind.add(stream, readers)
                    await asyncio.sleep(1)
                    continue
                for ((stream, _), readers), page in zip(shared.items(), pages, strict=True):
                    self._give_page(stream, readers, page)
        finally:
            self._reader = None

    def _head_of(self, stream: str) -> int:
        return self._feeds[stream].head if stream in self._feeds else 0

    def _give_page(self, stream: str, readers: list[tuple[int, Session]], page: list[StoredEvent]) -> None:
        entries = [self._entry(event) for event in page]
        first = entries[0].offset if entries else 0
        feed = self._feeds.get(stream)
        if feed is not None and entries and entries[-1].offset == feed.head and not feed.recent:
            for entry in entries if len(feed.sessions) > 1 else ():
                feed.recent.append(entry)
        for cursor, session in readers:
            feed = self._feeds.get(stream)
            if feed is None or session.cursors.get(stream) != cursor:
                continue
            if not 0 < first <= cursor + 1 <= entries[-1].offset:
                self._history_is_gone(session, feed)
                continue
            self._give(session, stream, entries[cursor + 1 - first :])
            if stream in session.cursors and session.writable and session.cursors[stream] < feed.head:
                self._need(session, feed)

    def _history_is_gone(self, session: Session, feed: Feed) -> None:
        if feed.name == _own(session):
            self._spawn(self._start_over(session))
            return
        session.cursors[feed.name] = feed.head
        session.send(encode(Resync(feed.name, feed.head)))

    async def _start_over(self, session: Session) -> None:
        """A player's own history is gone, and grants and revocations with it: read what holds now."""
        identity, own = session.identity, _own(session)
        if identity is None or session in self._starting_over:
            return
        self._starting_over.add(session)
        try:
            streams = await self.hear(identity)
        except Unauthenticated:
            session.close(4403, REVOKED)
            return
        except Exception as error:  # noqa: BLE001 - whatever keeps streams from being read, it may pass
            log.warning("streams_not_read", sub=identity.sub, error=first_line(error))
            session.close(1011, "the streams could not be read")
            return
        finally:
            self._starting_over.discard(session)
        if own not in session.cursors:  # it has left
            self.release(streams)
            return
        for stream in [stream for stream in session.cursors if stream not in streams]:
            self._leave_feed(session, stream)
        for stream, position in streams.items():
            if stream != own and stream in session.cursors:
                self._feeds[stream].held -= 1
                continue
            session.send(encode(Resync(stream, position.head)))
            self.join(session, stream, position.head)
        self.catch_up(session)

    async def confirm(self, session: Session) -> None:
        """Close a session whose login is over."""
        if session.identity is not None and not await self._is_live(session.identity):
            session.close(4403, REVOKED)


def _own(session: Session) -> str:
    return f"player:{session.player}"
