"""The distributed engine for the contract: two workers, each an OS process, and a gateway in this one.

Services and workers are started once; every test has a database of its own, a copy of a template. Time is
the database's: in these databases ``clock_timestamp()`` is a number in a table, which stands still until a
test moves it. Celery's timers know nothing of that, so after every move a scheduler begins its work anew, as
after a crash: it sets up from the table whatever is due. What then happens is the engine's own doing.
"""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import psycopg
from sqlalchemy import Connection, select

import starwire
from starwire import system
from starwire.clock import ManualClock
from starwire.config import Settings
from starwire.engines.distributed.children import end, spawn
from starwire.engines.distributed.engine import DistributedEngine
from starwire.engines.distributed.scheduling import LeadingScheduler
from starwire.engines.distributed.services import Postgres, Valkey
from starwire.engines.distributed.tasks import make_celery
from starwire.limits import Limits
from starwire.store import tables
from starwire.store.migrate import upgrade
from starwire.store.postgres import open_postgres
from tests.contract import garden
from tests.contract.harness import PATIENCE, Gateway
from tests.support.machine import REPOSITORY
from tests.support.server import environment

TEMPLATE = "garden"
WORKERS = ("worker-1", "worker-2")
PARTITIONS = 16
CLOCK = """
CREATE SCHEMA test_clock;
CREATE TABLE test_clock.moved (at timestamptz NOT NULL);
INSERT INTO test_clock.moved VALUES ('2030-01-01T00:00:00Z');
CREATE FUNCTION test_clock.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE
    AS 'SELECT at FROM test_clock.moved';
"""
# What is not in `public` is looked for in `test_clock` before PostgreSQL's own functions.
PATH = "public, test_clock, pg_catalog"


class Site:
    """Databases that are copies of one, and the workers, for all tests of a run."""

    def __init__(self, folder: Path, postgres: Postgres, valkey: Valkey) -> None:
        self.postgres = postgres
        self.valkey = valkey
        self.folder = folder
        self.celery = make_celery(valkey.url, Limits())
        self._workers: list[subprocess.Popen[bytes]] = []
        self._aside = ThreadPoolExecutor(1)
        self._next: Future[str]
        self._made = 0

    def start(self) -> None:
        """Start the workers, and make the database that all others are copies of."""
        self._make_template()
        self._next = self._aside.submit(self._create)
        for name in WORKERS:
            self._start_worker(name)

    def stop(self) -> None:
        """Stop the workers."""
        for worker in self._workers:
            end(worker, signal.SIGTERM, seconds=5)
        self._aside.shutdown()
        self.celery.close()

    def take(self) -> str:
        """The name of a database that nobody has used; the next one is made meanwhile."""
        name, self._next = self._next.result(), self._aside.submit(self._create)
        return name

    def give_back(self, name: str) -> None:
        """Nobody needs this database any more."""
        self._aside.submit(self.postgres.drop, name)

    def _create(self) -> str:
        self._made += 1
        name = f"garden_{self._made}"
        self.postgres.create(name, template=TEMPLATE)
        self.postgres.execute(f'ALTER DATABASE "{name}" SET search_path = {PATH}')
        return name

    def employ(self, settings: dict[str, str]) -> None:
        """Have every worker work with these settings."""
        deadline = time.monotonic() + PATIENCE
        while True:
            said = self.celery.control.broadcast(
                "work_for",
                arguments={"environment": settings},
                destination=[f"{name}@contract" for name in WORKERS],
                reply=True,
                limit=len(WORKERS),
                timeout=2,
            )
            answers = {name: answer for each in said or [] for name, answer in each.items()}
            if len(answers) == len(WORKERS) and all("ok" in answer for answer in answers.values()):
                return
            assert time.monotonic() < deadline, f"the workers answer {answers}\n{self.tail()}"

    def tail(self) -> str:
        """What the workers said last."""
        lines = [line for name in WORKERS for line in self._log(name).read_text().splitlines()[-20:]]
        return "\n".join(lines)

    def _log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def _make_template(self) -> None:
        url = self.postgres.create(TEMPLATE)
        database = open_postgres(url, Limits())
        upgrade(database, garden.build(), dev=True, partitions=PARTITIONS)
        database.close()
        self.postgres.execute(CLOCK, database=TEMPLATE)

    def _start_worker(self, name: str) -> None:
        told = environment(
            app="tests.contract.worker:plain",
            broker=self.valkey.url,
            database=self.postgres.url_of(TEMPLATE),
            name=name,
        )
        command = [sys.executable, "-m", "tests.contract.worker"]
        with self._log(name).open("ab") as log:
            self._workers.append(spawn(command, output=log, environment=told, folder=REPOSITORY))


class DatabaseClock(ManualClock):
    """Moves the database's clock along with the gateway's."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._connection = psycopg.connect(url, autocommit=True)

    def set(self, micros: int) -> None:
        """Move to a moment, never back."""
        super().set(micros)
        move = "UPDATE test_clock.moved SET at = 'epoch'::timestamptz + %s * interval '1 microsecond'"
        self._connection.execute(move, (micros,))

    def close(self) -> None:
        """Move no more."""
        self._connection.close()


class Distributed(Gateway):
    """A gateway in this OS process; workers, PostgreSQL and Valkey beside it."""

    def __init__(self, folder: Path, site: Site) -> None:
        self._site = site
        self._name = site.take()
        self._url = site.postgres.url_of(self._name)
        self._database_clock = DatabaseClock(self._url)
        super().__init__(folder, self._database_clock)
        self._limits = Limits()

    async def start(self, app: starwire.App | None = None, **limits: Any) -> None:
        """Start a gateway, and have the workers work for it."""
        app = app or garden.build()
        told = {f"STARWIRE_{name.upper()}": str(value) for name, value in limits.items()}
        told |= {
            "STARWIRE_APP": f"tests.contract.worker:{_variant(app)}",
            "STARWIRE_DATABASE": self._url,
            "STARWIRE_BROKER": self._site.valkey.url,
        }
        self._limits = Limits(**limits)
        employed = asyncio.get_running_loop().create_task(asyncio.to_thread(self._site.employ, told))
        await asyncio.sleep(0)  # it begins before the gateway is made, which takes this thread for a while
        await self._serve(
            app,
            Settings(
                port=0,
                data=self.folder / "data",
                dev=True,
                database=self._url,
                broker=self._site.valkey.url,
                limits=self._limits,
            ),
        )
        await employed
        if await self.engine.read(self._is_due):
            await asyncio.to_thread(self._begin_term)

    async def close(self) -> None:
        """The test is over."""
        await super().close()
        self._database_clock.close()
        self._site.give_back(self._name)

    async def _run_due(self) -> None:
        """Have a scheduler set up what is due, until nothing is that this code knows."""
        async with asyncio.timeout(PATIENCE):
            while await self.engine.read(self._is_due):
                await asyncio.to_thread(self._begin_term)
                sent = time.monotonic()
                while await self.engine.read(self._is_due) and time.monotonic() - sent < 1:  # noqa: ASYNC110
                    await asyncio.sleep(0.005)

    def _begin_term(self) -> None:
        database = open_postgres(self._url, self._limits)
        scheduler = LeadingScheduler(database, self._site.celery, self._limits, name="contract")
        scheduler.run_once()
        scheduler.close()

    def _is_due(self, connection: Connection) -> bool:
        c = tables.process.c
        rows = connection.execute(
            select(c.key, c.kind, c.version).where(c.state != "paused", c.run_at <= self.clock.now())
        ).all()
        registry = self.server.registry
        held = {key for key, kind, version in rows if not registry.knows(kind, version)}
        return any(key not in held for key, _, _ in rows)

    def look(self) -> None:
        """Have the gateway measure lateness and look at deadlines now, as it does every other second."""
        with self.server.database.read.begin() as connection:
            _, self.engine.lateness = self.engine._times(connection)
        super().look()

    @property
    def engine(self) -> DistributedEngine:
        return cast("DistributedEngine", self.server.engine)

    def rows(self, table: Any) -> list[Any]:
        """What a table holds, without the replies to commands that have no id."""
        rows = super().rows(table)
        return [row for row in rows if not row.id.startswith("~")] if table is tables.reply else rows


def _variant(app: starwire.App) -> str:
    """Which of the worker's apps this is."""
    registry = app.registry(system.module)
    assert app.name == "garden", f"the workers do not have the app {app.name!r}"
    kind = registry.processes.get("ripen")
    if kind is None:
        return "without_ripen"
    return "poisoned" if kind.handler is garden.ripen_badly else "plain"
