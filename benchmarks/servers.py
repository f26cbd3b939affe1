"""Everything that is measured, as OS processes of this machine: services from wheels, ours, the sketch.

All share one PostgreSQL and one Valkey, with a database and a queue of their own each. ``Machine`` starts
what is asked for and stops it at the end; it writes into a temporary folder only.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.error import URLError
from urllib.request import urlopen

from starwire.engines.distributed.children import end, spawn
from starwire.engines.distributed.service import Service
from starwire.engines.distributed.services import Postgres, Valkey

REPOSITORY = Path(__file__).resolve().parent.parent
STARWIRE = (sys.executable, "-m", "starwire")
APP = "benchmarks.garden:app"
PATIENCE_SECONDS = 40.0
UNLIMITED = {  # one address makes all guests, and sends as fast as it gets answers
    "STARWIRE_GUESTS_PER_MINUTE": "1000000",
    "STARWIRE_COMMANDS_PER_SECOND": "1000000",
    "STARWIRE_COMMANDS_BURST": "1000000",
}


class Subject:
    """A system under test: where it is reached, and which OS processes it consists of."""

    def __init__(self, name: str, port: int) -> None:
        self.name = name
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self.pids: dict[str, list[int]] = {}

    def watched(self) -> list[str]:
        """The load program's ``--watch`` arguments."""
        return [f"--watch={role}={','.join(map(str, pids))}" for role, pids in self.pids.items()]


class Machine:
    """Starts OS processes; none outlives it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._exit = ExitStack()
        self._processes: list[subprocess.Popen[bytes]] = []
        self._postgres: Postgres | None = None
        self._valkey: Valkey | None = None

    def __enter__(self) -> Self:
        """Nothing is started yet."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop all, the last started first."""
        self._exit.close()

    def embedded(self) -> Subject:
        """One OS process, SQLite."""
        subject = Subject("embedded", free_port())
        settings = {"STARWIRE_DATA": str(self._folder / "embedded")}
        self._make_tables(settings)
        pid = self._starwire(subject, "serve", settings)
        subject.pids = {"server": [pid]}
        self._until_it_answers(subject, "/healthz")
        return subject

    def distributed(self, *, workers: int = 2) -> Subject:
        """A gateway, workers and a scheduler on PostgreSQL and Valkey."""
        subject = Subject("distributed", free_port())
        settings = {
            "STARWIRE_DATA": str(self._folder / "distributed"),
            "STARWIRE_DATABASE": self._database("benchmark"),
            "STARWIRE_BROKER": self._broker,
        }
        self._make_tables(settings)
        gateway = self._starwire(subject, "serve", settings)
        executing = [self._starwire(subject, "worker", settings) for _ in range(workers)]
        scheduling = self._starwire(subject, "scheduler", settings)
        subject.pids = {"gateway": [gateway], "workers": executing, "scheduler": [scheduling]}
        subject.pids |= self._services()
        self._until_it_answers(subject, "/readyz")
        return subject

    def sketch(self) -> Subject:
        """The sketch as one starts it: a web process, and a Celery worker with a pool of two."""
        return self._sketch("sketch", workers=1, pool=("--concurrency", "2"))

    def sketch_solo(self) -> Subject:
        """The sketch with two workers that have no pool, as ours have none."""
        return self._sketch("sketch_solo", workers=2, pool=("--pool", "solo"))

    def _sketch(self, name: str, *, workers: int, pool: Sequence[str]) -> Subject:
        subject = Subject(name, free_port())
        settings = {
            "SKETCH_DATABASE": self._database(name),
            "SKETCH_BROKER": self._broker,
            "SKETCH_NAME": name,
        }
        prepare = (sys.executable, "-c", "from benchmarks.peers.sketch.tasks import prepare; prepare()")
        subprocess.run(prepare, cwd=REPOSITORY, env=environment(settings), check=True)
        celery = (sys.executable, "-m", "celery", "-A", "benchmarks.peers.sketch.tasks", "worker")
        quiet = ("-l", "warning", "--without-gossip", "--without-mingle")
        executing = [
            self._start(f"{name}-{n}", [*celery, *quiet, *pool, "-n", f"{name}{n}@%h"], settings)
            for n in range(workers)
        ]
        uvicorn = (sys.executable, "-m", "uvicorn", "benchmarks.peers.sketch.web:app")
        listening = ("--port", str(subject.port), "--log-level", "warning", "--no-access-log")
        web = self._start(f"{name}-web", [*uvicorn, *listening], settings)
        subject.pids = {"gateway": [web], "workers": executing, **self._services()}
        self._until_it_answers(subject, "/openapi.json")
        return subject

    @property
    def _broker(self) -> str:
        if self._valkey is None:
            self._valkey = self._exit.enter_context(Valkey(self._folder / "valkey"))
        return self._valkey.url

    def _database(self, name: str) -> str:
        if self._postgres is None:
            service = Postgres(self._folder / "postgres", inside=self._folder)
            self._postgres = self._exit.enter_context(service)
        return self._postgres.create(name)

    def _services(self) -> dict[str, list[int]]:
        services: dict[str, Service | None] = {"postgres": self._postgres, "valkey": self._valkey}
        return {name: [each.pid] for name, each in services.items() if each is not None and each.pid}

    def _make_tables(self, settings: dict[str, str]) -> None:
        """``--dev`` does so, and would also have the gateway keep the journey of each command."""
        command = [*STARWIRE, "migrate", "--app", APP]
        told = environment({**settings, "STARWIRE_DEV": "1"})
        done = subprocess.run(command, cwd=REPOSITORY, env=told, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"no tables: {done.stdout}{done.stderr}")

    def _starwire(self, subject: Subject, role: str, settings: dict[str, str]) -> int:
        ours = {
            "STARWIRE_PORT": str(subject.port),
            "STARWIRE_LOG_LEVEL": "warning",
        }
        number = len(list(self._folder.glob(f"{subject.name}-{role}-*.log")))
        app = () if role == "scheduler" else ("--app", APP)
        return self._start(
            f"{subject.name}-{role}-{number}", [*STARWIRE, role, *app], UNLIMITED | ours | settings
        )

    def _start(self, name: str, command: Sequence[str], settings: dict[str, str]) -> int:
        with (self._folder / f"{name}.log").open("wb") as log:
            process = spawn(command, output=log, environment=environment(settings), folder=REPOSITORY)
        self._exit.callback(end, process, signal.SIGTERM, seconds=5)
        self._processes.append(process)
        return process.pid

    def _until_it_answers(self, subject: Subject, path: str) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not _answers(subject.url + path):
            ended = any(process.poll() is not None for process in self._processes)
            if ended or time.monotonic() > deadline:
                said = "\n".join(
                    f"--- {log.name}\n{log.read_text(errors='replace')[-3000:]}"
                    for log in sorted(self._folder.glob(f"{subject.name}*.log"))
                )
                raise SystemExit(f"the {subject.name} does not answer\n{said}")
            time.sleep(0.05)


def _answers(url: str) -> bool:
    try:
        with urlopen(url, timeout=PATIENCE_SECONDS) as answer:
            return bool(answer.status == 200)
    except (URLError, OSError):
        return False


def environment(settings: dict[str, str]) -> dict[str, str]:
    """This OS process's environment without anybody's settings, and with these."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("STARWIRE_")}
    return clean | settings


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
