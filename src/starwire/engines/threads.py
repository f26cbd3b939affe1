"""Where the embedded engine's blocking work runs: one thread that writes, a few that read."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import structlog

log = structlog.get_logger("starwire.engine")

Job = Callable[[], None]


class Threads(Protocol):
    """Where the engine's blocking work runs: threads in a server, inline in the test kit."""

    def start(self, work: Callable[[], bool]) -> None:
        """Call ``work`` whenever ``wake`` was called, for as long as it returns True."""
        ...

    def wake(self) -> None:
        """There is work for the writer."""
        ...

    def stop(self) -> None:
        """End the writer when it has nothing left to do."""
        ...

    def read(self, job: Job) -> None:
        """Run a read beside the writer."""
        ...


class WriterThread:
    """One thread that writes, and a few that read."""

    def __init__(self, readers: int, *, patience: float) -> None:
        self._patience = patience
        """How many seconds ``stop`` waits for a handler that does not come to its end."""
        self._condition = threading.Condition()
        self._awake = False
        self._stopping = False
        self._thread: threading.Thread | None = None
        self._readers = ThreadPoolExecutor(readers, thread_name_prefix="starwire-reader")

    def start(self, work: Callable[[], bool]) -> None:
        """Begin."""

        def run() -> None:
            while True:
                with self._condition:
                    while not self._awake and not self._stopping:
                        self._condition.wait()
                    if not self._awake and self._stopping:
                        return
                    self._awake = False
                try:
                    while work():
                        pass
                except Exception:  # the next one may go well; without this thread nothing would
                    log.exception("writer_failed")

        self._thread = threading.Thread(target=run, name="starwire-writer", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """There is work for the writer."""
        with self._condition:
            self._awake = True
            self._condition.notify()

    def stop(self) -> None:
        """End the writer when it has nothing left to do, then the readers.

        A handler that hangs is left behind: what it has written ends with the OS process, uncommitted.
        """
        with self._condition:
            self._stopping = True
            self._condition.notify()
        if self._thread is not None:
            self._thread.join(self._patience)
            if self._thread.is_alive():
                log.error("handler_does_not_end", seconds=self._patience)
        self._readers.shutdown()

    def read(self, job: Job) -> None:
        """Run a read beside the writer."""
        self._readers.submit(job)
