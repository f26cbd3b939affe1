"""Who hears a push: callbacks, readers of ``pushes()``, and those who wait for one. All bounded."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Callable

import structlog

from starwire.client import errors
from starwire.client.errors import Lagged
from starwire.client.frames import Push

ANY = "*"
QUEUED_PUSHES = 10_000  # for each reader
REMEMBERED_PUSHES = 1_000  # for those who wait
Listener = Callable[[Push], object]
log = structlog.get_logger("starwire.client")


class Listeners:
    """Hands each push on. ``call`` runs a callback of the user's."""

    def __init__(self, call: Callable[[Listener, Push], None], *, queued: int = QUEUED_PUSHES) -> None:
        self._call = call
        self._queued = queued
        self._callbacks: dict[str, list[Listener]] = {}
        self._queues: list[asyncio.Queue[Push | None]] = []
        self._remembered: deque[Push] = deque(maxlen=REMEMBERED_PUSHES)
        self._waiting: list[tuple[Callable[[Push], bool], asyncio.Future[Push]]] = []
        self._over: str | None = None

    def add(self, event: str, listener: Listener) -> Callable[[], None]:
        """Call ``listener`` from now on; what is returned ends it."""
        callbacks = self._callbacks.setdefault(event, [])
        callbacks.append(listener)

        def end() -> None:
            with contextlib.suppress(ValueError):
                callbacks.remove(listener)

        return end

    def read(self) -> AsyncIterator[Push]:
        """Every push from now on. Raises ``Lagged`` in the reader when it was too slow."""
        queue: asyncio.Queue[Push | None] = asyncio.Queue(self._queued)
        self._queues.append(queue)
        return self._iterate(queue)

    async def _iterate(self, queue: asyncio.Queue[Push | None]) -> AsyncIterator[Push]:
        try:
            while self._over is None or not queue.empty():
                if queue not in self._queues and queue.empty():
                    raise Lagged(f"more than {self._queued} pushes were waiting; some were dropped")
                push = await queue.get()
                if push is None:
                    return
                yield push
        finally:
            if queue in self._queues:
                self._queues.remove(queue)

    async def wait(self, event: str, where: Callable[[Push], bool] | None, seconds: float | None) -> Push:
        """The first push that matches and that nobody else has waited for; it may have come already.

        Raises:
            TimeoutError: none came; the message says what came instead.
            CommandError: ``closed``.
        """

        def matches(push: Push) -> bool:
            return event in {ANY, push.event} and (where is None or where(push))

        for push in self._remembered:
            if matches(push):
                self._remembered.remove(push)
                return push
        if self._over is not None:
            raise errors.closed(f"wait_for {event}", self._over)
        future: asyncio.Future[Push] = asyncio.get_running_loop().create_future()
        waiting = (matches, future)
        self._waiting.append(waiting)
        try:
            return await asyncio.wait_for(future, seconds)
        except TimeoutError:
            came = ", ".join(push.event for push in self._remembered) or "nothing"
            raise TimeoutError(f"no {event} within {seconds} s; what came and nobody took: {came}") from None
        finally:
            self._waiting.remove(waiting)

    def deliver(self, push: Push) -> None:
        """Hand a push on."""
        for queue in list(self._queues):
            if queue.full():
                self._queues.remove(queue)  # its reader is told when it comes to the end
            else:
                queue.put_nowait(push)
        for matches, future in self._waiting:
            if not future.done() and matches(push):
                future.set_result(push)
                break
        else:
            self._remembered.append(push)
        for listener in [*self._callbacks.get(push.event, ()), *self._callbacks.get(ANY, ())]:
            self._call(listener, push)

    def end(self, why: str) -> None:
        """There will be no other push."""
        self._over = why
        for _, future in self._waiting:
            if not future.done():
                future.set_exception(errors.closed("wait_for", why))
        for queue in self._queues:
            with contextlib.suppress(asyncio.QueueFull):  # then its reader sees the end without this
                queue.put_nowait(None)
