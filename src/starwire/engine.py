"""The contract of an engine: how gateways, workers and the scheduler are joined.

Nothing asks which engine it has. What an engine guarantees is section 5 of the design; how, is its business:
``engines/embedded.py`` runs everything in one OS process.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from sqlalchemy import Connection

from starwire.app import ViewKind
from starwire.batch import Command, Outcome
from starwire.broker import Broker
from starwire.identity import Identity
from starwire.store.reads import StoredEvent
from starwire.stream import Position

T = TypeVar("T")
Answer = Callable[[bytes], None]


class Engine(Protocol):
    """What a gateway asks of the rest of the system. All methods are called on the gateway's event loop."""

    epoch: str
    partitions: int

    observe: Callable[[Sequence[Command], Outcome], None] | None
    """Told of every transaction that this OS process has run itself; for ``/dev``."""

    @property
    def broker(self) -> Broker:
        """Where committed events come from."""
        ...

    async def start(self) -> None:
        """Begin to work: due processes fire from here on."""
        ...

    async def stop(self) -> None:
        """Answer what was taken, then end; what is due later stays in the table."""
        ...

    def submit(self, command: Command, answer: Answer, origin: object = None) -> None:
        """Have a command executed; ``answer`` is called once, on the loop, with its reply frame.

        Commands of one ``origin`` (a connection) take effect in the order submitted.

        Raises:
            Refused: ``overloaded``; nothing happened and ``answer`` will not be called.
        """
        ...

    def view(
        self, kind: ViewKind | None, identity: Identity, id: str | None, args: bytes, answer: Answer
    ) -> None:
        """Have a view answered from one snapshot (None: the built-in ``processes``); as ``submit``."""
        ...

    async def streams_of(self, player: str) -> dict[str, Position]:
        """The streams that a player hears, and where each stands: all of one snapshot.

        This and the next two are answered in sets: what waits at the same moment is read together, and is
        told what was committed before it asked.
        """
        ...

    async def positions(self, streams: Sequence[str]) -> dict[str, Position]:
        """Where these streams stand."""
        ...

    async def history(self, wanted: Sequence[tuple[str, int, int]]) -> list[list[StoredEvent]]:
        """For each (stream, after, limit) what is kept of its next ``limit`` events, in one read."""
        ...

    async def session_is_live(self, session: str) -> bool:
        """Whether a login session exists and was not revoked."""
        ...

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Run a small write of the framework's own (accounts, pruning) in a transaction of its own."""
        ...

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run a read of the framework's own in a snapshot of its own."""
        ...

    @property
    def lateness(self) -> float:
        """Seconds since the due time of the oldest unfinished due process, as last seen."""
        ...
