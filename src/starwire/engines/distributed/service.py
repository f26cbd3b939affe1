"""What PostgreSQL and Valkey from wheels have in common: a folder, a log, an OS process, a private socket."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import os
import re
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Self

from starwire.engines.distributed.children import User, end, spawn
from starwire.errors import ConfigurationError

START_SECONDS = 60.0  # after a crash PostgreSQL first replays its log
STOP_SECONDS = 20.0
GLANCE_SECONDS = 0.01
SOCKET_BYTES = 100  # the kernel's bound is 104 to 108
LOG_BYTES = 5_000_000
_PLAIN = re.compile(r"[\w./-]+", re.ASCII)  # what needs no quoting in any URL


class Service:
    """An OS process that serves, in a folder of its own.

    ``start`` returns when it answers; ``stop`` ends it in order, ``kill`` as a crash would.
    """

    name = ""

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder).absolute()
        self.log = self.folder / f"{self.name}.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """What a client connects to; the same after every restart."""
        raise NotImplementedError

    @property
    def pid(self) -> int | None:
        """The id of its OS process while it runs."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    def start(self) -> None:
        """Start, and wait until it answers.

        Raises:
            ConfigurationError: its wheel is missing, its folder is not usable, or it ends at once.
        """
        if self.pid is not None:
            return
        self.folder.mkdir(mode=0o711, parents=True, exist_ok=True)
        process = self._process = self._spawn()
        deadline = time.monotonic() + START_SECONDS
        try:
            while not self._answers():
                if process.poll() is not None:
                    raise ConfigurationError(f"{self.name} does not start: {self._last_words()}")
                if time.monotonic() > deadline:
                    raise ConfigurationError(f"{self.name} does not answer; its log is {self.log}")
                time.sleep(GLANCE_SECONDS)
        except BaseException:
            self.kill()
            raise

    def stop(self) -> None:
        """End it in order."""
        if (process := self._process) is not None:
            end(process, self._polite(), seconds=STOP_SECONDS)
        self._process = None

    def restart(self) -> None:
        """Stop and start; the URL stays."""
        self.stop()
        self.start()

    def kill(self) -> None:
        """SIGKILL: no goodbye, no last write."""
        if (process := self._process) is not None:
            process.kill()
            process.wait()
        self._process = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def tail(self, lines: int = 20) -> str:
        """The last lines of its log."""
        try:
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
        except OSError:
            return ""

    def _spawn(self) -> subprocess.Popen[bytes]:
        raise NotImplementedError

    def _answers(self) -> bool:
        raise NotImplementedError

    def _polite(self) -> signal.Signals:
        return signal.SIGTERM

    def _last_words(self) -> str:
        lines = [line for line in self.tail(40).splitlines() if line.strip()]
        telling = [line for line in lines if re.search(r"FATAL|ERROR|PANIC|[Ee]rror|#", line)]
        return " / ".join((telling or lines or ["it said nothing"])[-2:])

    def _run(
        self, command: list[str | Path], *, user: User | None = None, when_we_die: signal.Signals
    ) -> subprocess.Popen[bytes]:
        with contextlib.suppress(FileNotFoundError):
            if self.log.stat().st_size > LOG_BYTES or not os.access(self.log, os.W_OK):
                self.log.unlink()
        with self.log.open("ab") as log:
            self.log.chmod(0o600)
            environment = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}
            return spawn(
                command,
                output=log,
                environment=environment,
                folder=Path("/"),
                user=user,
                when_we_die=when_we_die,
            )


def wheel(package: str, what: str) -> Path:
    """The folder of an installed package that brings a program.

    Raises:
        ConfigurationError: it is not installed.
    """
    spec = importlib.util.find_spec(package)  # importing it would start locks and loggers of its own
    if spec is None or spec.origin is None:
        raise ConfigurationError(
            f"{what} comes from the package {package.replace('_', '-')}, which is not installed:"
            " pip install 'starwire[cluster]'"
        )
    return Path(spec.origin).parent


def short_folder(folder: Path, name: str) -> Path:
    """The folder for a socket: this one, or when its path is too long or has odd characters, a short one."""
    path = str(folder / name)
    if len(os.fsencode(path)) <= SOCKET_BYTES and _PLAIN.fullmatch(path):
        return folder
    digest = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
    return Path(tempfile.gettempdir()).resolve() / f"starwire-{digest}"


def make_private(folder: Path, user: User | None) -> None:
    """A folder in a place where everybody may write, so that it matters whose it is."""
    owner = os.geteuid() if user is None else user.uid
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
        if user is not None:
            os.chown(folder, user.uid, user.gid)
    status = folder.lstat()
    if folder.is_symlink() or status.st_uid != owner or status.st_mode & 0o077:
        raise ConfigurationError(f"{folder} is somebody else's; delete it")
