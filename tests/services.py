"""The distributed engine for tests: PostgreSQL and Valkey from wheels, and every role as an OS process.

Fixtures (in ``tests/conftest.py``, so that every test has them):

- ``postgres``, ``valkey``: one of each for the whole run, started when the first test asks.
- ``database``: the URL of a database of the test's own, at the framework's newest schema and otherwise empty.

``Cluster`` runs gateways, workers and schedulers for an app; each can be killed, stopped and started again::

    with Cluster(tmp_path, database, app="tests.support.village:app") as cluster:
        cluster.kill("worker", 1)
"""

from __future__ import annotations

import itertools
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self
from urllib.error import URLError
from urllib.request import urlopen

import psutil
import pytest
from redis.exceptions import RedisError

from starwire import config
from starwire.engines.distributed.children import end, spawn
from starwire.engines.distributed.preparing import prepare
from starwire.engines.distributed.presence import Presence, present
from starwire.engines.distributed.services import Postgres, Valkey
from starwire.limits import Limits
from starwire.loading import find_app
from starwire.store.migrate import upgrade
from starwire.store.postgres import open_postgres
from tests.support.machine import REPOSITORY
from tests.support.server import GLANCE_SECONDS, PATIENCE_SECONDS, environment, free_port

TEMPLATE = "template"
STOP_SECONDS = 35.0
"""For a gateway under load: its drain, its sockets and its engine have ten seconds each."""
ROLES = ("gateway", "scheduler", "worker")  # in the order in which they stop
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """PostgreSQL for the whole run. Kill it as you like, and start it again."""
    folder = tmp_path_factory.mktemp("postgres")
    server = Postgres(folder, durable=False)
    server.start()
    try:
        _make_template(server)
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    """Valkey for the whole run; a `Cluster` has one of its own."""
    server = Valkey(tmp_path_factory.mktemp("valkey"))
    server.start()
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture
def database(postgres: Postgres) -> Iterator[str]:
    """The URL of a database of the test's own, at the framework's newest schema."""
    with fresh_database(postgres) as url:
        yield url


@contextmanager
def fresh_database(postgres: Postgres, *, template: str | None = TEMPLATE) -> Iterator[str]:
    """A database that nobody has used; without a template, an empty one. For fixtures of another scope."""
    postgres.start()  # a test may have killed it
    name = f"test_{next(_numbers)}"
    try:
        yield postgres.create(name, template=template)
    finally:
        postgres.start()
        postgres.drop(name)


def _make_template(postgres: Postgres) -> None:
    database = open_postgres(postgres.create(TEMPLATE), Limits())
    try:
        upgrade(database)
        with database.write.begin() as connection:  # each copy has an epoch and partitions of its own
            connection.exec_driver_sql("TRUNCATE starwire_meta, starwire_partition")
    finally:
        database.close()


class Cluster:
    """Every role as OS processes, with a Valkey of their own and a log each.

    Args:
        folder: for logs, the data folder and Valkey.
        database: the URL of its database.
        app: an import string, from the repository's folder.
        valkey: another one than its own.
        migrated: False: servers find the database as it is, and race for its migrations.
        settings: STARWIRE_<NAME>, for all of them.
    """

    def __init__(
        self,
        folder: Path,
        database: str,
        *,
        app: str = "herebedragons.app:app",
        gateways: int = 2,
        workers: int = 2,
        schedulers: int = 2,
        valkey: Valkey | None = None,
        migrated: bool = True,
        **settings: str,
    ) -> None:
        self.folder = folder
        self.database = database
        self.app = app
        self.data = folder / "data"
        self.valkey = valkey or Valkey(folder / "valkey")
        self.ports = [free_port() for _ in range(gateways)]
        self.urls = [f"http://127.0.0.1:{port}" for port in self.ports]
        self._counts = {"gateway": gateways, "scheduler": schedulers, "worker": workers}
        self._own_valkey = valkey is None
        self._migrated = migrated
        self._settings = {"dev": "1"} | settings
        self._running: dict[tuple[str, int], subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.close()
        if kind is not None:
            print(self.tail())

    def start(self) -> None:
        """Start everything that does not run, and wait until every gateway has had its beat come back."""
        self.valkey.start()
        if self._migrated:
            settings, _ = config.load(self.environment())
            prepare(find_app(self.app), settings).close()
        for role, number in self._all():
            if self.pid(role, number) is None:
                self.spawn(role, number)
        self.await_ready()

    def close(self) -> None:
        """Stop everything, whatever state it is in."""
        for role in ROLES:
            these = [process for (each, _), process in self._running.items() if each == role]
            for process in these:
                if process.poll() is None:
                    process.terminate()
            for process in these:
                end(process, signal.SIGTERM, seconds=STOP_SECONDS)
        self._running.clear()
        if self._own_valkey:
            self.valkey.stop()

    def environment(self, role: str = "gateway", number: int = 1) -> dict[str, str]:
        """What a server of this cluster, or a tool beside it, is told."""
        port = self.ports[number - 1] if role == "gateway" else 0
        return environment(
            app=self.app,
            broker=self.valkey.url,
            data=str(self.data),
            database=self.database,
            port=str(port),
            **self._settings,
        )

    def spawn(self, role: str, number: int) -> subprocess.Popen[bytes]:
        """Start one, and do not wait for anything."""
        command = [sys.executable, "-m", "starwire"]
        if role == "gateway":
            command += ["serve", "--app", self.app]
        else:
            command += [role, "--name", f"{role}-{number}"]
        with self.log(role, number).open("ab") as log:
            process = spawn(
                command, output=log, environment=self.environment(role, number), folder=REPOSITORY
            )
        self._running[role, number] = process
        return process

    def kill(self, role: str, number: int) -> None:
        """SIGKILL."""
        process = self._running.pop((role, number))
        process.kill()
        process.wait()

    def stop(self, role: str, number: int) -> int:
        """SIGTERM, and wait; the exit code."""
        process = self._running.pop((role, number))
        assert end(process, signal.SIGTERM, seconds=STOP_SECONDS), f"it does not stop:\n{self.tail()}"
        return process.returncode

    def restart(self, role: str, number: int) -> None:
        """Start one again that was stopped or killed, or that runs; wait until it works."""
        if self.pid(role, number) is not None:
            self.stop(role, number)
        process = self.spawn(role, number)
        self._await(lambda: process.pid in {each.pid for each in self.present()}, f"{role}-{number}", process)
        if role == "gateway":
            self._await(lambda: _answers(f"{self.urls[number - 1]}/readyz"), f"{role}-{number}", process)

    def pid(self, role: str, number: int) -> int | None:
        """Its OS process id while it runs."""
        process = self._running.get((role, number))
        return process.pid if process is not None and process.poll() is None else None

    def pids(self, role: str) -> list[int]:
        """Of all that run in a role."""
        return [pid for each, number in self._all() if each == role and (pid := self.pid(role, number))]

    def present(self) -> list[Presence]:
        """Who says in the broker to be alive; killed ones do so for some seconds more."""
        with suppress(RedisError):
            return present(self.valkey.url)
        return []

    def leader(self) -> int:
        """The number of the scheduler that leads; waits until one does."""
        alive = set(self.pids("scheduler"))

        def find() -> int:
            names = [each.name for each in self.present() if each.note == "leads" and each.pid in alive]
            return int(names[0].rpartition("-")[2]) if names else 0

        self._await(lambda: find() > 0, "a leader")
        return find()

    def await_ready(self) -> None:
        """Wait until every worker and scheduler is there, and every gateway has had its beat come back."""
        for number, url in enumerate(self.urls, start=1):
            process = self._running.get(("gateway", number))
            if process is not None:
                self._await(lambda url=url: _answers(f"{url}/readyz"), f"gateway-{number}", process)  # type: ignore[misc]
        wanted = {pid for role in ROLES for pid in self.pids(role)}
        self._await(lambda: wanted <= {each.pid for each in self.present()}, "all roles")

    def starwire(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a tool of the command line beside the servers."""
        return subprocess.run(
            [sys.executable, "-m", "starwire", *arguments],
            cwd=REPOSITORY,
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )

    def log(self, role: str, number: int) -> Path:
        """Where a server's output goes."""
        return self.folder / f"{role}-{number}.log"

    def tail(self, lines: int = 30) -> str:
        """The last lines of every log."""
        parts = []
        for role, number in self._all():
            log = self.log(role, number)
            if log.exists():
                last = log.read_text(errors="replace").splitlines()[-lines:]
                parts.append("\n".join([f"--- {role}-{number}", *last]))
        return "\n".join(parts)

    def _all(self) -> list[tuple[str, int]]:
        return [(role, number) for role, count in self._counts.items() for number in range(1, count + 1)]

    def _await(
        self, condition: Callable[[], bool], what: str, process: subprocess.Popen[bytes] | None = None
    ) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not condition():
            assert process is None or process.poll() is None, f"{what} ended:\n{self.tail()}"
            assert time.monotonic() < deadline, f"waited in vain for {what}:\n{self.tail()}"
            time.sleep(GLANCE_SECONDS)


def alive(processes: Iterable[psutil.Process], *, wait: bool = False) -> list[psutil.Process]:
    """Which of these still run; ``wait`` gives them time to end."""

    def look() -> list[psutil.Process]:
        found = []
        for each in processes:
            with suppress(psutil.NoSuchProcess):
                if each.is_running() and each.status() != psutil.STATUS_ZOMBIE:
                    found.append(each)
        return found

    deadline = time.monotonic() + PATIENCE_SECONDS
    while wait and look() and time.monotonic() < deadline:
        time.sleep(GLANCE_SECONDS)
    return look()


def _answers(url: str) -> bool:
    try:
        with urlopen(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except (URLError, OSError):
        return False
