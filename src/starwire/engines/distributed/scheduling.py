"""The scheduler's side: the leader keeps ETA tasks for the near future, and sweeps what was lost.

Each round it renews the lease, sends one task for each partition and bucket that has come within the horizon
since the last round (what is started within it is sent by the worker that commits it), and sends at once what
is overdue: a worker or the broker must have lost it. A new term, or a broker that has lost its memory, and
the whole horizon is set up again. Nothing here is needed for correctness but that it goes on.
"""

from __future__ import annotations

import contextlib
import time

import structlog
from celery import Celery
from redis.exceptions import RedisError
from sqlalchemy import Connection, bindparam, select
from sqlalchemy.exc import SQLAlchemyError

from starwire.config import Settings
from starwire.engines.distributed.presence import Herald, connect
from starwire.engines.distributed.tasks import bucket_after, make_celery, send_due_task
from starwire.errors import ConfigurationError, first_line
from starwire.limits import Limits
from starwire.store import tables
from starwire.store.database import Database
from starwire.store.lease import give_up, lead
from starwire.store.postgres import open_postgres

log = structlog.get_logger("starwire.scheduler")

ROWS = 20_000  # of the horizon in one round; what is beyond comes in the next
EXPIRE_SECONDS = (
    3.0  # of a task for what is overdue: while no worker comes for it, another follows each second
)
MARK = "starwire:scheduled"


class LeadingScheduler:
    """One scheduler of several. ``run_once`` does a round."""

    def __init__(
        self, database: Database, celery: Celery, limits: Limits, *, name: str, broker: str | None = None
    ) -> None:
        self._database = database
        self._celery = celery
        self._limits = limits
        self._name = name
        self._mark = None if broker is None else Mark(broker)
        self._term: int | None = None
        self._reached = 0
        """Up to when tasks were sent for everything, in the database's time."""
        self.leading = False

    def run_once(self) -> None:
        """Lead if nobody else does, and send what is to be sent."""
        try:
            with self._database.write.begin() as connection:
                term = lead(connection, self._name, self._limits.lease_seconds)
            if term is None:
                self.leading = False
                return
            if term != self._term:
                log.info("leading", term=term, name=self._name)
                self._term, self._reached = term, 0
            elif self._mark is not None and not self._mark.stands(term):
                log.warning("broker_was_emptied", term=term)
                self._reached = 0
            self.leading = True
            with self._database.read.begin() as connection:
                now, overdue, coming = self._look(connection)
        except SQLAlchemyError as error:
            self.leading = False
            log.warning("round_failed", error=first_line(error))
            return
        self._send(term, now, overdue, coming)

    def run(self, stopping: list[bool]) -> None:
        """Do rounds until told to stop."""
        while not stopping:
            started = time.monotonic()
            self.run_once()
            pause = self._limits.sweep_seconds if self.leading else self._limits.lease_renew_seconds
            time.sleep(max(0.05, pause - (time.monotonic() - started)))

    def close(self) -> None:
        """End, and let another one lead at once."""
        try:
            with self._database.write.begin() as connection:
                give_up(connection, self._name)
        except SQLAlchemyError as error:
            log.warning("lease_not_given_up", error=first_line(error))
        self._database.close()
        if self._mark is not None:
            self._mark.close()

    def _look(self, connection: Connection) -> tuple[int, list[int], list[tuple[int, int]]]:
        """The time, the partitions in which something is overdue, and (partition, time) of what is coming."""
        now: int = connection.scalar(select(self._database.statements.dialect.now())) or 0
        c, awake = tables.process.c, tables.awake
        lost = now - int(self._limits.sweep_seconds * 1e6)
        overdue = connection.scalars(
            select(c.partition).where(awake, c.run_at < bindparam("lost")).distinct(), {"lost": lost}
        )
        coming = connection.execute(
            select(c.partition, c.run_at)
            .where(awake, c.run_at > bindparam("after"), c.run_at <= bindparam("until"))
            .order_by(c.run_at)
            .limit(ROWS),
            {
                "after": max(self._reached, lost - 1),
                "until": now + int(self._limits.horizon_seconds * 1e6),
            },
        )
        return now, sorted(overdue), [(partition, run_at) for partition, run_at in coming]

    def _send(self, term: int, now: int, overdue: list[int], coming: list[tuple[int, int]]) -> None:
        seconds = self._limits.bucket_seconds
        every = [send_due_task(self._celery, [each], term, 0, expires=EXPIRE_SECONDS) for each in overdue]
        tasks = {(partition, bucket_after(run_at, seconds)): None for partition, run_at in coming}
        for partition, bucket in tasks:
            every.append(send_due_task(self._celery, [partition], term, bucket * seconds - now / 1e6))
        if not all(every):
            return  # the same again in the next round
        until = now + int(self._limits.horizon_seconds * 1e6)
        self._reached = coming[-1][1] if len(coming) >= ROWS else until
        if self._mark is not None:
            self._mark.leave(term)


class Mark:
    """A key in the broker: when it is gone, everything else in there is gone too."""

    def __init__(self, broker: str) -> None:
        self._redis = connect(broker)

    def stands(self, term: int) -> bool:
        """Whether it is as this term has left it, or nobody can tell."""
        try:
            return bool(self._redis.get(MARK) == str(term).encode())
        except RedisError:
            return True

    def leave(self, term: int) -> None:
        """Everything of this term was sent."""
        with contextlib.suppress(RedisError):
            self._redis.set(MARK, str(term))

    def close(self) -> None:
        """Close the connection."""
        self._redis.close()


def run_scheduler(settings: Settings, name: str, stopping: list[bool]) -> None:
    """Be a scheduler until ``stopping`` has something in it.

    Raises:
        ConfigurationError: the database or the broker is not usable.
    """
    if settings.database is None or settings.broker is None:
        raise ConfigurationError("a scheduler needs STARWIRE_DATABASE and STARWIRE_BROKER")
    scheduler = LeadingScheduler(
        open_postgres(settings.database, settings.limits),
        make_celery(settings.broker, settings.limits),
        settings.limits,
        name=name,
        broker=settings.broker,
    )
    herald = Herald(settings.broker, "scheduler", name, lambda: "leads" if scheduler.leading else "stands by")
    try:
        scheduler.run(stopping)
    finally:
        herald.stop()
        scheduler.close()
