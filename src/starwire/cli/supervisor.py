"""Several servers started from one terminal: their output side by side, each started again when it dies.

``run`` returns when it was told to stop and everything has ended, role by role in the order in which the
servers were given. A second signal kills.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import FrameType

from rich.console import Console
from rich.text import Text

from starwire.engines.distributed.children import spawn
from starwire.engines.distributed.service import Service
from starwire.errors import ConfigurationError

GLANCE_SECONDS = 0.05
FIRST_DELAY_SECONDS = 0.5  # doubled with every death that follows soon
LONGEST_DELAY_SECONDS = 5.0  # so that all go on soon after what they need is back
STEADY_SECONDS = 60.0  # who lived this long begins with the first delay again
STOP_SECONDS = 20.0  # more than a gateway takes to answer what it has taken
MISTAKE = 2
COLOURS = {
    "gateway": "cyan",
    "worker": "green",
    "scheduler": "yellow",
    "postgres": "blue",
    "valkey": "magenta",
}


@dataclass
class Child:
    """A server that is to run: what starts it, and how it fared."""

    role: str
    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    where: str = ""
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    again_at: float | None = 0.0
    delay: float = FIRST_DELAY_SECONDS
    readers: list[threading.Thread] = field(default_factory=list)


class Supervisor:
    """Keeps services and servers running."""

    def __init__(self, services: Sequence[Service], console: Console) -> None:
        self.services = services
        self.children: list[Child] = []
        """What runs, in the order in which it stops."""
        self._console = console
        self._again: dict[Service, tuple[float, float]] = {}
        self._stopping = False
        self._lock = threading.Lock()

    def handle_signals(self) -> None:
        """From now on the first signal stops in order, the second kills."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._signalled)

    def start_services(self) -> None:
        """Start PostgreSQL and Valkey.

        Raises:
            ConfigurationError: one of them cannot run.
        """
        for service in self.services:
            service.start()

    def run(self, *, ready: Callable[[], bool], announce: Callable[[], None]) -> None:
        """Start the servers, call ``announce`` once when ``ready``, and go on until a signal.

        Raises:
            ConfigurationError: before all was ready a server found a mistake of whoever configured it.
        """
        announced = False
        while not self._stopping:
            self._look_after_services()
            for child in self.children:
                self._look_after(child, forgiving=announced)
            if not announced and ready():
                announced = True
                announce()
            time.sleep(GLANCE_SECONDS)

    def stop(self) -> None:
        """End everything in order."""
        for role in dict.fromkeys(child.role for child in self.children):
            self._stop_role([child for child in self.children if child.role == role])
        for service in reversed(self.services):
            service.stop()
        self.say("cluster", os.getpid(), "everything has stopped")

    @property
    def stopping(self) -> bool:
        """Whether a signal came."""
        return self._stopping

    def say(self, name: str, pid: int, line: str) -> None:
        """One line, with who says it in front."""
        role = name.partition("-")[0]
        text = Text(f"{name:<12} {pid:>7} ", style=COLOURS.get(role, "bold"))
        with self._lock:
            self._console.print(text + Text.from_ansi(line), soft_wrap=True, highlight=False)

    def _look_after(self, child: Child, *, forgiving: bool) -> None:
        process = child.process
        now = time.monotonic()
        if process is None:
            if child.again_at is not None and now >= child.again_at:
                self._start(child)
            return
        if process.poll() is None:
            return
        for reader in child.readers:
            reader.join(1)
        ended = _describe(process.returncode)
        if process.returncode == MISTAKE and not forgiving:
            raise ConfigurationError(f"{child.name} {ended}, and says above what is wrong")
        if now - child.started_at > STEADY_SECONDS:
            child.delay = FIRST_DELAY_SECONDS
        self.say(child.name, process.pid, f"{ended}; it is started again in {child.delay:g} s")
        child.process, child.again_at = None, now + child.delay
        child.delay = min(child.delay * 2, LONGEST_DELAY_SECONDS)

    def _start(self, child: Child) -> None:
        child.process = spawn(child.command, output=subprocess.PIPE, environment=child.environment)
        child.started_at, child.again_at = time.monotonic(), None
        if child.delay > FIRST_DELAY_SECONDS:
            self.say(child.name, child.process.pid, "started again")
        reader = threading.Thread(target=self._pass_on, args=(child.name, child.process), daemon=True)
        reader.start()
        child.readers = [reader]

    def _pass_on(self, name: str, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None  # noqa: S101 - it was asked for
        with process.stdout as output:
            for line in output:
                if text := line.decode(errors="replace").rstrip():
                    self.say(name, process.pid, text)

    def _look_after_services(self) -> None:
        for service in self.services:
            at, delay = self._again.get(service, (0.0, 0.0))
            if service.pid is not None or time.monotonic() < at:
                continue
            wait = min(max(delay * 2, FIRST_DELAY_SECONDS), LONGEST_DELAY_SECONDS)
            self._again[service] = (time.monotonic() + wait, wait)
            self._start_again(service)

    def _start_again(self, service: Service) -> None:
        self.say(service.name, 0, f"has ended; it is started again (its log: {service.log})")
        try:
            service.start()
        except ConfigurationError as error:
            self.say(service.name, 0, str(error))
        else:
            self.say(service.name, service.pid or 0, "started again")

    def _stop_role(self, children: Sequence[Child]) -> None:
        running = [child.process for child in children if child.process is not None]
        for process in running:
            if process.poll() is None:
                process.terminate()
        deadline = time.monotonic() + STOP_SECONDS
        for process in running:
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for child in children:
            for reader in child.readers:
                reader.join(1)

    def _signalled(self, number: int, _: FrameType | None) -> None:
        if not self._stopping:
            self._stopping = True
            return
        for child in self.children:
            if child.process is not None and child.process.poll() is None:
                child.process.kill()
        for service in reversed(self.services):
            service.kill()
        os._exit(128 + number)


def _describe(code: int) -> str:
    if code < 0:
        return f"was killed by {signal.Signals(-code).name}"
    return f"ended with exit code {code}"
