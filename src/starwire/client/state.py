"""State and stream together: read a view, then apply every later push of its streams, each once, in order.

While a reading is under way pushes are kept; whenever the two cannot be joined without a hole, the view is
read again. A reading is good when none of its positions lies before the place from which pushes are known to
have been kept (``_floor``: the cursor when the reading began, or where the stream has jumped since).
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import structlog

from starwire.client.errors import CommandError
from starwire.client.frames import Push, ViewResult, backoff

KEPT_PUSHES = 5_000
log = structlog.get_logger("starwire.client")


@dataclass(frozen=True, slots=True)
class Hooks:
    """What a state does: ``ask`` the view, ``read`` its result, ``apply`` a push."""

    ask: Callable[[], Awaitable[ViewResult]]
    read: Callable[[Any], object]
    apply: Callable[[Push], object]
    offsets: Callable[[], Mapping[str, int]]
    closed: Callable[[LiveState], None]
    error: Callable[[CommandError], object] | None = None


class LiveState:
    """A view that stays true. Made by ``Client.state``; ``close`` ends it."""

    def __init__(self, hooks: Hooks, source: random.Random) -> None:
        self._hooks = hooks
        self._source = source
        self._task: asyncio.Task[None] | None = None
        self._reading = False
        self._again = False  # something happened that this reading cannot hold
        self._kept: list[Push] = []
        self._floor: dict[str, int] = {}
        self._at: dict[str, int] | None = None  # up to where the state is known; None: not read, or refused
        self._failures = 0
        self._closed = False
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done when the view was read for the first time; raises its refusal."""
        self.reread()

    def reread(self) -> None:
        """Read the view again now."""
        if self._closed:
            return
        if self._reading:
            self._again = True
            return
        self._begin(0.0)

    def close(self) -> None:
        """Apply nothing more."""
        if not self._closed:
            self._closed = True
            self._kept = []
            if self._task is not None:
                self._task.cancel()
            self.ready.cancel()
            self._hooks.closed(self)

    # What the client tells

    def push(self, push: Push) -> None:
        """A push that the cursors have let through."""
        if self._closed:
            return
        if self._reading:
            self._keep(push)
            return
        known = None if self._at is None else self._at.get(push.stream)
        if self._at is None or known is None or push.offset <= known:
            return
        if push.offset != known + 1:
            self.reread()
            return
        self._at[push.stream] = push.offset
        self._safely(self._hooks.apply, push)

    def jump(self, stream: str, offset: int, *, lost: bool) -> None:
        """The pushes of ``stream`` go on after ``offset``; ``lost``: not all before it were delivered."""
        if self._closed:
            return
        if self._reading:
            if lost:
                self._kept = [push for push in self._kept if push.stream != stream]
            self._floor[stream] = offset if lost else max(offset, self._floor.get(stream, 0))
            return
        known = None if self._at is None else self._at.get(stream)
        if self._at is None or (known is not None and (lost or known < offset)):
            self.reread()

    def reset(self) -> None:
        """Another epoch: no offset known before means anything."""
        if self._reading:
            self._kept = []
            self._floor.clear()
        else:
            self.reread()

    def opened(self) -> None:
        """The client is connected (again)."""
        if not self._reading and self._at is None:
            self.reread()

    # Reading

    def _begin(self, wait: float) -> None:
        if self._task is not None and self._task is not asyncio.current_task():
            self._task.cancel()
        self._reading = True
        self._again = False
        self._kept = []
        self._floor = dict(self._hooks.offsets())
        self._task = asyncio.get_running_loop().create_task(self._read(wait))

    async def _read(self, wait: float) -> None:
        if wait:
            await asyncio.sleep(wait)
            self._kept = []
            self._floor = dict(self._hooks.offsets())
        try:
            view = await self._hooks.ask()
        except CommandError as error:
            self._refused(error)
        else:
            self._arrived(view)

    def _arrived(self, view: ViewResult) -> None:
        self._reading = False
        behind = any(offset < self._floor.get(stream, 0) for stream, offset in view.positions.items())
        if self._again or behind:
            self._failures += behind
            self._begin(backoff(self._failures, self._source) if behind else 0.0)
            return
        self._failures = 0
        self._at = dict(view.positions)
        kept, self._kept = self._kept, []
        self._safely(self._hooks.read, view.result)
        if not self.ready.done():
            self.ready.set_result(None)
        for push in kept:
            self.push(push)

    def _refused(self, error: CommandError) -> None:
        self._reading = False
        self._at = None
        if error.code == "closed":
            if not self.ready.done():
                self.ready.set_exception(error)
        elif error.retry or error.code == "timeout":
            self._failures += 1
            self._begin(backoff(self._failures, self._source))
        elif not self.ready.done():
            self.ready.set_exception(error)
        elif self._hooks.error is not None:
            self._safely(self._hooks.error, error)
        else:
            log.warning("state_refused", code=error.code, reason=error.reason)

    def _keep(self, push: Push) -> None:
        if len(self._kept) >= KEPT_PUSHES:
            self._kept = []
            self._again = True
        if not self._again:
            self._kept.append(push)

    def _safely(self, hook: Callable[[Any], object], value: object) -> None:
        try:
            hook(value)
        except Exception:
            log.exception("state_hook_failed")
