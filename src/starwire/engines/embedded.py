"""The embedded engine: one OS process, SQLite, one writer with group commit, a broker in memory.

The writer takes what is waiting and never waits for more: while one transaction commits, the next batch
gathers. It runs in a thread of its own; results come back to the event loop once a batch. Reads have
threads and connections of their own and never wait for the writer.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar

import structlog
from sqlalchemy import Connection

from starwire import telemetry
from starwire.app import App, Registry
from starwire.batch import Command, Outcome
from starwire.clock import Clock
from starwire.config import Settings
from starwire.engine import Answer
from starwire.engines import Opened
from starwire.engines.folder import lock_data_folder
from starwire.engines.memory import MemoryBroker
from starwire.engines.reading import Reading
from starwire.engines.threads import Job, Threads, WriterThread
from starwire.errors import Refused
from starwire.executor import Executor
from starwire.limits import Limits
from starwire.scheduler import Scheduler, Timer
from starwire.store.database import Database, open_sqlite, read_facts
from starwire.store.migrate import upgrade
from starwire.store.reads import Reads

log = structlog.get_logger("starwire.engine")

T = TypeVar("T")


class EmbeddedEngine(Reading):
    """The engine of one OS process. Implements ``starwire.engine.Engine``.

    The queue of commands is bounded; past its bound a command is refused before anything happened.
    """

    def __init__(
        self,
        executor: Executor,
        reads: Reads,
        database: Database,
        clock: Clock,
        limits: Limits,
        *,
        partitions: int,
        threads: Threads | None = None,
        call_later: Callable[[float, Job], Timer] | None = None,
    ) -> None:
        super().__init__(reads, database, clock, limits, partitions=partitions)
        self.broker = MemoryBroker()
        self._executor = executor
        self._all = tuple(range(partitions))
        self._threads = threads or WriterThread(limits.view_threads, patience=limits.drain_seconds)
        self._call_later = call_later
        self._loop: asyncio.AbstractEventLoop
        self._scheduler: Scheduler
        self._lock = threading.Lock()
        self._waiting: deque[tuple[Command, Answer]] = deque()
        self._writes: deque[Job] = deque()
        self._due = False

    @property
    def next_due(self) -> int | None:
        """When the next live process is to run, in microseconds."""
        return self._scheduler.next_due

    @property
    def idle(self) -> bool:
        """Whether nothing is waiting to be written."""
        return not (self._waiting or self._writes or self._due or self._views)

    async def start(self) -> None:
        """Begin; what fell due while no server ran is run at once."""
        self._loop = asyncio.get_running_loop()
        self._scheduler = Scheduler(self._clock, self._call_later or self._loop.call_later, self.run_due)
        self._threads.start(self._work)
        self.run_due()

    async def stop(self) -> None:
        """Answer what was taken, then end."""
        self._stopped = True
        self._scheduler.stop()
        await self._loop.run_in_executor(None, self._threads.stop)
        self._database.close()

    def run_due(self) -> None:
        """Have whatever is due run now."""
        with self._lock:
            self._due = True
        self._threads.wake()

    def submit(self, command: Command, answer: Answer, origin: object = None) -> None:
        """Queue a command for the writer; one queue keeps every origin's order."""
        with self._lock:
            self._refuse_when_full(len(self._waiting))
            self._waiting.append((command, answer))
        self._threads.wake()

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Run a small write in a transaction of its own, before the commands that wait."""
        if self._stopped:
            raise Refused("unavailable", "The server is stopping.")

        def job() -> T:
            with self._database.write.begin() as connection:
                return work(connection)

        future, settled = self._promise(job)
        with self._lock:
            self._writes.append(settled)
        self._threads.wake()
        return await future

    def _run(self, work: Callable[[], T]) -> asyncio.Future[T]:
        future, job = self._promise(work)
        self._threads.read(job)
        return future

    def _promise(self, work: Callable[[], T]) -> tuple[asyncio.Future[T], Job]:
        """Work as a job for another thread, and the future that it settles."""
        future: asyncio.Future[T] = self._loop.create_future()

        def job() -> None:
            try:
                result = work()
            except Exception as error:  # noqa: BLE001 - handed to whoever awaits
                self._loop.call_soon_threadsafe(_settle, future, None, error)
            else:
                self._loop.call_soon_threadsafe(_settle, future, result, None)

        return future, job

    # On the writer's thread

    def _work(self) -> bool:
        """Write what is waiting; whether there is more."""
        with self._lock:
            writes = list(self._writes)
            self._writes.clear()
            count = min(len(self._waiting), self._limits.batch_commands)
            taken = [self._waiting.popleft() for _ in range(count)]
            due, self._due = self._due, False
        for write in writes:
            write()
        if taken or due:
            outcome = self._executor.run([command for command, _ in taken], self._all)
            telemetry.batch(len(taken), outcome.items)
            with self._lock:
                self._waiting.extendleft(taken[index] for index in reversed(outcome.left))
            self._loop.call_soon_threadsafe(self._announce, outcome, taken)
        with self._lock:
            return bool(self._waiting or self._writes or self._due)

    # Back on the loop

    def _announce(self, outcome: Outcome, taken: list[tuple[Command, Answer]]) -> None:
        if self.observe is not None:
            self.observe([command for command, _ in taken], outcome)
        for index, frame in outcome.answers.items():
            try:
                taken[index][1](frame)
            except Exception:
                log.exception("answer_failed", command=taken[index][0].name)
        self.lateness = outcome.lateness
        self.broker.publish(outcome.events)
        if outcome.failed:
            self._scheduler.expect(self._clock.now() + int(self._limits.overloaded_seconds * 1e6))
        else:
            self._scheduler.expect(outcome.next_due)


def _settle(future: asyncio.Future[Any], result: Any, error: Exception | None) -> None:
    if future.done():
        return
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(result)


def open_embedded(
    registry: Registry,
    database: Database,
    clock: Clock,
    limits: Limits,
    *,
    partitions: int,
    seed: str | None = None,
    threads: Threads | None = None,
    call_later: Callable[[float, Job], Timer] | None = None,
) -> EmbeddedEngine:
    """The engine on a database whose tables exist already.

    Args:
        registry: what the app declares.
        database: SQLite.
        clock: what time it is.
        limits: the bounds.
        partitions: their number; must be the one that the database was made with.
        seed: of all randomness, when the database is made now; random when None.
        threads: where blocking work runs; a writer's thread and readers' threads when None.
        call_later: the scheduler's timer; the event loop's when None.

    Raises:
        ConfigurationError: the database was made with another number of partitions.
    """
    with database.write.begin() as connection:
        facts = read_facts(connection, partitions=partitions, seed=seed)
    executor = Executor(registry, database, clock, limits, seed=facts.seed, partitions=partitions)
    reads = Reads(registry, database, clock, epoch=facts.epoch, result_bytes=limits.result_bytes)
    return EmbeddedEngine(
        executor,
        reads,
        database,
        clock,
        limits,
        partitions=partitions,
        threads=threads,
        call_later=call_later,
    )


def open_with_settings(app: App, registry: Registry, settings: Settings, clock: Clock) -> Opened:
    """Take the data folder, open its SQLite, and bring that to the schema of this code.

    Raises:
        ConfigurationError: another server has the folder, or the database is not usable.
    """
    lock = lock_data_folder(settings.data, settings.lock_file)
    database = open_sqlite(settings.sqlite, readers=settings.limits.view_threads)
    try:
        upgrade(database, app, dev=settings.dev, partitions=settings.partitions)
        engine = open_embedded(registry, database, clock, settings.limits, partitions=settings.partitions)
    except BaseException:
        database.close()
        lock.close()
        raise
    return Opened(
        engine,
        database,
        "embedded",
        f"this OS process and SQLite in {settings.data}",
        lock.close,
        grow="Past one machine: `make cluster` shows how; docs/how-to/grow.md.",
    )
