"""The scheduler's side: the leader keeps ETA tasks for the near future, and sweeps what was lost.

Each round it renews the lease, sends one task for each partition and bucket within the horizon that this
term has not sent, and sends again at once what is overdue: a worker or the broker must have lost it. Nothing
here is needed for correctness but that it goes on: a restart begins a new term and sets everything up again.
"""

from __future__ import annotations

import time

import structlog
from celery import Celery
from sqlalchemy import Connection, bindparam, select
from sqlalchemy.exc import SQLAlchemyError

from starwire.config import Settings
from starwire.engines.distributed.presence import Herald
from starwire.engines.distributed.tasks import make_celery, send_due_task
from starwire.errors import ConfigurationError
from starwire.limits import Limits
from starwire.store import tables
from starwire.store.database import Database
from starwire.store.lease import give_up, lead
from starwire.store.postgres import open_postgres

log = structlog.get_logger("starwire.scheduler")

ROWS = 20_000  # of the horizon in one round; what is beyond comes in the next


class LeadingScheduler:
    """One scheduler of several. ``run_once`` does a round."""

    def __init__(self, database: Database, celery: Celery, limits: Limits, *, name: str) -> None:
        self._database = database
        self._celery = celery
        self._limits = limits
        self._name = name
        self._term: int | None = None
        self._sent: set[tuple[int, int]] = set()
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
                self._term, self._sent = term, set()
            self.leading = True
            with self._database.read.begin() as connection:
                now, times = self._horizon(connection)
        except SQLAlchemyError as error:
            self.leading = False
            log.warning("round_failed", error=str(error).splitlines()[0])
            return
        self._send(term, now, times)

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
            log.warning("lease_not_given_up", error=str(error).splitlines()[0])
        self._database.close()

    def _horizon(self, connection: Connection) -> tuple[int, list[tuple[int, int]]]:
        now: int = connection.scalar(select(self._database.statements.dialect.now())) or 0
        c = tables.process.c
        rows = connection.execute(
            select(c.partition, c.run_at)
            .where(c.state != "paused", c.run_at <= bindparam("until"))
            .order_by(c.run_at)
            .limit(ROWS),
            {"until": now + int(self._limits.horizon_seconds * 1e6)},
        )
        return now, [(partition, run_at) for partition, run_at in rows]

    def _send(self, term: int, now: int, times: list[tuple[int, int]]) -> None:
        bucket_seconds = self._limits.bucket_seconds
        lost = now - int(self._limits.sweep_seconds * 1e6)
        overdue = sorted({partition for partition, run_at in times if run_at < lost})
        for partition in overdue:
            send_due_task(self._celery, [partition], term, 0)
        present = int(now / 1e6 / bucket_seconds)
        self._sent = {each for each in self._sent if each[1] >= present}
        for partition, run_at in times:
            bucket = int(run_at / 1e6 / bucket_seconds) + 1
            if run_at >= lost and (partition, bucket) not in self._sent:
                self._sent.add((partition, bucket))
                send_due_task(self._celery, [partition], term, bucket * bucket_seconds - now / 1e6)


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
    )
    herald = Herald(settings.broker, "scheduler", name, lambda: "leads" if scheduler.leading else "stands by")
    try:
        scheduler.run(stopping)
    finally:
        herald.stop()
        scheduler.close()
