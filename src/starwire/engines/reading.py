"""What every engine reads, off the event loop: views, hello, history. It never waits for a writer.

An engine says how blocking work runs beside its loop (``_run``); everything else is the same for all.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TypeVar

from sqlalchemy import Connection

from starwire.app import ViewKind
from starwire.batch import Command, Outcome
from starwire.clock import Clock
from starwire.engine import Answer
from starwire.engines.gathering import Gathering
from starwire.errors import Refused
from starwire.identity import Identity
from starwire.limits import Limits
from starwire.store.database import Database
from starwire.store.reads import Reads, StoredEvent
from starwire.stream import Position

T = TypeVar("T")


class Reading(ABC):
    """The reading half of ``starwire.engine.Engine``, and the state that all engines have."""

    def __init__(
        self, reads: Reads, database: Database, clock: Clock, limits: Limits, *, partitions: int
    ) -> None:
        self.epoch = reads.epoch
        self.partitions = partitions
        self.lateness = 0.0
        self.observe: Callable[[Sequence[Command], Outcome], None] | None = None
        """Told of every transaction that this OS process has run itself; for ``/dev``."""
        self._reads = reads
        self._database = database
        self._clock = clock
        self._limits = limits
        self._views = 0
        self._gathering = Gathering(
            lambda questions: self._run(lambda: reads.answers(questions)), most=limits.asked_at_once
        )
        self._stopped = False

    @abstractmethod
    def _run(self, work: Callable[[], T]) -> asyncio.Future[T]:
        """Run blocking work beside the event loop."""

    def view(
        self, kind: ViewKind | None, identity: Identity, id: str | None, args: bytes, answer: Answer
    ) -> None:
        """Have a view answered by a reader."""
        if self._views >= self._limits.pending_views:
            raise self._overloaded("Too many views are waiting.")
        self._views += 1

        def done(future: asyncio.Future[bytes]) -> None:
            self._views -= 1
            if not future.cancelled():
                answer(future.result())

        self._run(lambda: self._reads.answer(kind, identity, id, args)).add_done_callback(done)

    async def streams_of(self, player: str) -> dict[str, Position]:
        """The streams that a player hears, and where each stands: all of one snapshot."""
        return await self._gathering.streams_of(player)

    async def positions(self, streams: Sequence[str]) -> dict[str, Position]:
        """Where these streams stand."""
        return await self._gathering.positions(streams)

    async def history(self, wanted: Sequence[tuple[str, int, int]]) -> list[list[StoredEvent]]:
        """For each (stream, after, limit) what is kept of its next ``limit`` events, in one read."""
        return await self._run(lambda: self._reads.history(wanted))

    async def session_is_live(self, session: str) -> bool:
        """Whether a login session exists and was not revoked."""
        return await self._gathering.session_is_live(session)

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run a read in a snapshot of its own."""

        def job() -> T:
            with self._database.read.begin() as connection:
                return work(connection)

        return await self._run(job)

    def _refuse_when_full(self, waiting: int) -> None:
        """Refuse a command before anything happens.

        Raises:
            Refused: ``unavailable`` while stopping, ``overloaded`` past the bound.
        """
        if self._stopped:
            raise Refused("unavailable", "The server is stopping.")
        if waiting >= self._limits.pending_commands:
            raise self._overloaded("Too many commands are waiting.")

    def _overloaded(self, sentence: str) -> Refused:
        return Refused("overloaded", sentence, retry_after=self._limits.overloaded_seconds)
