"""A server as an OS process of its own: started, stopped, killed, and started again where it was."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

from tests.support.machine import REPOSITORY

STARWIRE = Path(sys.executable).with_name("starwire")
PATIENCE_SECONDS = 30.0
GLANCE_SECONDS = 0.01
"""Between two looks at something that another OS process decides."""


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def environment(**settings: str) -> dict[str, str]:
    """This OS process's environment without anybody's settings, and with these."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("STARWIRE_")}
    return clean | {f"STARWIRE_{name.upper()}": value for name, value in settings.items()}


class ServerProcess:
    """`starwire play`, or `serve` with an app, on a port and a data folder that it keeps over restarts.

    Its output goes to `log`, all lives in one file.
    """

    def __init__(
        self, folder: Path, *, program: Path = STARWIRE, app: str | None = None, **settings: str
    ) -> None:
        self.port = free_port()
        self.data = folder / "data"
        self.log = folder / "server.log"
        self.url = f"http://127.0.0.1:{self.port}"
        self._folder = folder
        self._program = program
        self._command = ["play"] if app is None else ["serve", "--dev", "--app", app]
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def database(self) -> Path:
        return self.data / "starwire.db"

    @property
    def pid(self) -> int:
        """Of the OS process that runs now."""
        assert self._process is not None, "it is not running"
        return self._process.pid

    def environment(self) -> dict[str, str]:
        """What the server, and a tool that looks for its data, are told."""
        return environment(port=str(self.port), data=str(self.data), **self._settings)

    def spawn(self) -> None:
        """Start the OS process, and do not wait until it listens."""
        assert self._process is None, "it is running already"
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [self._program, *self._command],
                cwd=self._folder if self._command == ["play"] else REPOSITORY,
                env=self.environment(),
                stdout=log,
                stderr=log,
            )

    def start(self) -> None:
        """Start, and wait until it answers."""
        self.spawn()
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not self.listens():
            assert time.monotonic() < deadline, f"the server does not answer:\n{self.tail()}"
            time.sleep(GLANCE_SECONDS)

    def listens(self) -> bool:
        """Whether it accepts connections.

        Raises:
            AssertionError: it has ended, with what it said.
        """
        process = self._process
        assert process is not None, "it was not started"
        assert process.poll() is None, f"the server ended with {process.returncode}:\n{self.tail()}"
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def kill(self) -> None:
        """SIGKILL: no goodbye, no last write."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """SIGTERM, as a service manager does; the exit code."""
        return self._end(signal.SIGTERM)

    def died(self) -> None:
        """Wait until it has ended by itself."""
        process, self._process = self._process, None
        assert process is not None, "it is not running"
        process.wait(PATIENCE_SECONDS)

    def close(self) -> None:
        """Let nothing run on."""
        if self._process is not None:
            self.kill()

    def _end(self, how: signal.Signals) -> int:
        process, self._process = self._process, None
        assert process is not None, "it is not running"
        process.send_signal(how)
        try:
            return process.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError(f"{how.name} did not end the server:\n{self.tail()}") from None

    def tail(self, lines: int = 40) -> str:
        """The last lines of what it said."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def starwire(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a tool of the command line beside the server."""
        return subprocess.run(
            [self._program, *arguments],
            cwd=self._folder,
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """Ask the server by HTTP; the JSON that it answers."""
        data, headers = json.dumps(body).encode(), {"Content-Type": "application/json"}
        with urlopen(Request(self.url + path, data, headers), timeout=PATIENCE_SECONDS) as answer:
            return json.load(answer)

    def lateness(self) -> float | None:
        """How late its due work is; None while it is not ready to say."""
        try:
            with urlopen(f"{self.url}/readyz", timeout=PATIENCE_SECONDS) as answer:
                return float(json.load(answer)["lateness"])
        except (URLError, OSError):
            return None
