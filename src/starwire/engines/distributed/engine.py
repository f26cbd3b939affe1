"""The gateway's side: commands into Celery tasks, answers back from pub/sub, reads from PostgreSQL.

Partitions are divided into lanes, about one a worker. A lane has one task in flight, which carries all the
commands that waited for its partitions; while it runs, the next ones gather. The gateway owns unanswered
commands: after a second without an answer it looks in the reply table, then publishes the same batch again.
A command carries a deadline in the database's time; ``unavailable`` is only said once that has passed and
whatever began before it has ended.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import msgspec
import structlog
from sqlalchemy import Connection, bindparam, select

from starwire.batch import Command, reused_id
from starwire.clock import Clock
from starwire.engine import Answer
from starwire.engines.distributed import messages
from starwire.engines.distributed.broker import RedisBroker
from starwire.engines.distributed.publishing import Publisher
from starwire.engines.reading import Reading
from starwire.errors import Refused, first_line
from starwire.limits import Limits
from starwire.protocol import error_reply
from starwire.store import tables
from starwire.store.database import Database
from starwire.store.reads import Reads

log = structlog.get_logger("starwire.engine")

T = TypeVar("T")

GATHER_SECONDS = 0.0001  # for each command: about what a gateway needs for its reply and the next one


@dataclass(slots=True)
class Waiting:
    """A command and who waits for its answer."""

    command: Command
    answer: Answer
    origin: object


@dataclass(slots=True)
class InFlight:
    """A batch that a task carries."""

    batch: messages.Batch
    waiting: dict[int, Waiting]
    last_try: float


class Lane:
    """Some partitions, the commands that wait for them, and the one task that is in flight."""

    def __init__(self) -> None:
        self.queue: deque[Waiting] = deque()
        self.in_flight: InFlight | None = None
        self.expected = 0
        """How many may come at once, now that so many were answered; the next task waits a moment."""
        self.timer: asyncio.TimerHandle | None = None


class DistributedEngine(Reading):
    """Implements ``starwire.engine.Engine``."""

    def __init__(
        self,
        reads: Reads,
        database: Database,
        publisher: Publisher,
        *,
        broker_url: str,
        clock: Clock,
        limits: Limits,
        gateway: str,
        partitions: int,
    ) -> None:
        super().__init__(reads, database, clock, limits, partitions=partitions)
        self.broker = RedisBroker(broker_url, gateway, self._answered)
        self._gateway = gateway
        self._publisher = publisher
        self._threads = ThreadPoolExecutor(limits.view_threads, thread_name_prefix="starwire-reader")
        self._lanes = [Lane() for _ in range(min(limits.tasks_in_flight, partitions))]
        self._ahead = 0
        """How far the database's clock is ahead of ours, in microseconds."""
        self._origins: dict[object, tuple[Lane, int]] = {}
        self._parked: dict[object, deque[Waiting]] = {}
        self._numbers = itertools.count(1)
        self._unanswered = 0
        self._queued = 0
        self._loop: asyncio.AbstractEventLoop
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Begin; workers and schedulers are OS processes of their own."""
        self._loop = asyncio.get_running_loop()
        await self._measure()
        await self.broker.start()
        self._tasks = [self._loop.create_task(self._look_after())]

    async def stop(self) -> None:
        """Answer what was taken, as far as workers do so in time, then end."""
        self._stopped = True
        deadline = self._loop.time() + self._limits.drain_seconds
        while self._unanswered and self._loop.time() < deadline:  # noqa: ASYNC110 - it counts answers
            await asyncio.sleep(0.05)
        for task in self._tasks:
            task.cancel()
        await self.broker.stop()
        await self._loop.run_in_executor(None, self._close)

    def _close(self) -> None:
        self._publisher.close()
        self._threads.shutdown()
        self._database.close()

    # Commands

    def submit(self, command: Command, answer: Answer, origin: object = None) -> None:
        """Queue a command for its lane; it waits while its origin has commands in another one."""
        self._refuse_when_full(self._queued)
        claim = None if command.id is not None else f"~{self._gateway}-{next(self._numbers)}"
        deadline = self._clock.now() + self._ahead + int(self._limits.command_seconds * 1e6)
        waiting = Waiting(msgspec.structs.replace(command, claim=claim, deadline=deadline), answer, origin)
        self._unanswered += 1
        self._queued += 1
        if origin is not None and not self._admit(waiting):
            return
        self._enqueue(waiting)

    def _admit(self, waiting: Waiting) -> bool:
        """Whether the command may go now: an origin has commands in one lane at a time."""
        lane = self._lane(waiting.command)
        parked = self._parked.get(waiting.origin)
        current = self._origins.get(waiting.origin)
        if parked or (current is not None and current[0] is not lane):
            self._parked.setdefault(waiting.origin, deque()).append(waiting)
            return False
        self._origins[waiting.origin] = (lane, 1 if current is None else current[1] + 1)
        return True

    def _lane(self, command: Command) -> Lane:
        return self._lanes[command.partition % len(self._lanes)]

    def _enqueue(self, waiting: Waiting) -> None:
        lane = self._lane(waiting.command)
        lane.queue.append(waiting)
        if lane.in_flight is None and len(lane.queue) >= lane.expected:
            self._loop.call_soon(self._depart, lane)

    def _gather(self, lane: Lane, answered: int) -> None:
        """Let a lane's next task depart: when as many wait as were answered just now, or after a moment.

        Those who were answered tend to send their next command at once, and without this the first of them
        would leave alone, in a task that costs as much as one for all. One by one, nothing waits.
        """
        if len(lane.queue) >= answered:
            self._depart(lane)
            return
        lane.expected = answered
        seconds = min(self._limits.gather_seconds, answered * GATHER_SECONDS)
        lane.timer = self._loop.call_later(seconds, self._depart, lane)

    def _depart(self, lane: Lane) -> None:
        """Send what waits in a lane as one task, unless one is in flight."""
        lane.expected = 0
        if lane.in_flight is not None or not lane.queue:
            return
        if lane.timer is not None:
            lane.timer.cancel()
            lane.timer = None
        count = min(len(lane.queue), self._limits.batch_commands)
        taken = [lane.queue.popleft() for _ in range(count)]
        self._queued -= count
        partitions = sorted({each.command.partition for each in taken})
        batch = messages.Batch(
            f"{self._gateway}-{next(self._numbers)}",
            self._gateway,
            partitions,
            [each.command for each in taken],
        )
        lane.in_flight = InFlight(batch, dict(enumerate(taken)), self._loop.time())
        self._publisher.publish(batch)

    def _answered(self, replies: messages.Replies) -> None:
        for lane in self._lanes:
            flight = lane.in_flight
            if flight is not None and flight.batch.id == replies.batch:
                self._settle(lane, flight, replies.answers)
                return

    def _settle(self, lane: Lane, flight: InFlight, answers: dict[int, bytes]) -> None:
        for index, frame in answers.items():
            waiting = flight.waiting.pop(index, None)
            if waiting is not None:
                self._answer(waiting, frame)
        if not flight.waiting and lane.in_flight is flight:
            lane.in_flight = None
            self._gather(lane, len(flight.batch.commands))

    def _answer(self, waiting: Waiting, frame: bytes) -> None:
        self._unanswered -= 1
        try:
            waiting.answer(frame)
        except Exception:
            log.exception("answer_failed", command=waiting.command.name)
        if waiting.origin is None:
            return
        lane, count = self._origins[waiting.origin]
        if count > 1:
            self._origins[waiting.origin] = (lane, count - 1)
            return
        del self._origins[waiting.origin]
        parked = self._parked.pop(waiting.origin, deque())
        while parked:
            following = parked.popleft()
            if self._admit(following):
                self._enqueue(following)
            else:
                self._parked[waiting.origin].extend(parked)
                return

    # Unanswered commands

    async def _look_after(self) -> None:
        measured = self._loop.time()
        while True:
            await asyncio.sleep(self._limits.unanswered_seconds / 4)
            try:
                for lane in self._lanes:
                    await self._look_after_lane(lane)
                if self._loop.time() - measured > self._limits.lease_renew_seconds:
                    measured = self._loop.time()
                    await self._measure()
            except Exception as error:  # noqa: BLE001 - the database may be away: look again
                log.warning("looking_failed", error=first_line(error))

    async def _look_after_lane(self, lane: Lane) -> None:
        flight = lane.in_flight
        now = self._loop.time()
        if flight is None or now - flight.last_try < self._limits.unanswered_seconds:
            return
        flight.last_try = now
        claims = {each.command.stored_as or "" for each in flight.waiting.values()}
        stored = await self.read(lambda connection: _stored(connection, claims))
        self._settle(lane, flight, find_replies(flight.waiting, stored))  # some have come meanwhile
        if lane.in_flight is not flight:
            return
        time = self._clock.now() + self._ahead
        over = time - int(self._limits.transaction_seconds * 2 * 1e6)
        late = [i for i, each in flight.waiting.items() if (each.command.deadline or 0) < over]
        refusal = Refused("unavailable", "No worker carried it out in time, and none can any more.")
        self._settle(
            lane,
            flight,
            {
                i: error_reply(flight.waiting[i].command.id, flight.waiting[i].command.name, refusal)
                for i in late
            },
        )
        alive = any((each.command.deadline or 0) >= time for each in flight.waiting.values())
        if lane.in_flight is flight and alive:
            log.info("publishing_again", batch=flight.batch.id, commands=len(flight.waiting))
            self._publisher.publish(flight.batch)

    async def _measure(self) -> None:
        """How far the database's clock is ahead, and how late due work is."""
        ours = self._clock.now()
        theirs, late = await self.read(self._times)
        self._ahead = theirs - (ours + self._clock.now()) // 2
        self.lateness = late

    def _times(self, connection: Connection) -> tuple[int, float]:
        now: int = connection.scalar(select(self._database.statements.dialect.now())) or 0
        oldest = connection.scalar(
            select(tables.process.c.run_at)
            .where(tables.awake, tables.process.c.run_at <= bindparam("now"))
            .order_by(tables.process.c.run_at)
            .limit(1),
            {"now": now},
        )
        return now, 0.0 if oldest is None else (now - oldest) / 1e6

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Run a small write in a transaction of its own."""

        def job() -> T:
            with self._database.write.begin() as connection:
                return work(connection)

        return await self._run(job)

    def _run(self, work: Callable[[], T]) -> asyncio.Future[T]:
        return self._loop.run_in_executor(self._threads, work)


Stored = Mapping[tuple[str, str], tuple[bytes, bytes]]
"""Player and claim → digest and reply."""


def find_replies(waiting: Mapping[int, Waiting], stored: Stored) -> dict[int, bytes]:
    """The answers to those whose reply is stored: an id may wait for several players, and several times."""
    found = {}
    for index, each in waiting.items():
        command = each.command
        reply = stored.get((command.player, command.stored_as or ""))
        if reply is not None:
            found[index] = reply[1] if reply[0] == command.digest else reused_id(command)
    return found


def _stored(connection: Connection, claims: Iterable[str]) -> Stored:
    c = tables.reply.c
    rows = connection.execute(select(c.player, c.id, c.digest, c.frame).where(c.id.in_(list(claims))))
    return {(player, claim): (digest, frame) for player, claim, digest, frame in rows}
