"""The client: joins link, cursors, outbox and live states, and is all that its user sees of them."""

from __future__ import annotations

import asyncio
import inspect
import random
import secrets
import time
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

import msgspec
import structlog

from starwire import kinds
from starwire.client import errors
from starwire.client.accounts import Signed, Source, Tokens
from starwire.client.clock import ServerClock
from starwire.client.cursors import Cursors, Verdict
from starwire.client.errors import AuthError, CommandError
from starwire.client.frames import Push, ViewResult
from starwire.client.link import Link, Reconnect
from starwire.client.listeners import Listener, Listeners
from starwire.client.outbox import Outbox
from starwire.client.state import Hooks, LiveState
from starwire.client.upkeep import Upkeep

log = structlog.get_logger("starwire.client")


class Client:
    """One player's connection, which comes back by itself.

    Args:
        url: the server, for example ``http://127.0.0.1:8000``.
        token: an access token; without ``tokens`` the client ends when it expires.
        tokens: what ``guest`` or ``login`` gave (it is renewed in time), or a function, async or not, that
            gives a token or such a mapping, and is asked whenever a new one is needed.
        resume: ``(epoch, offsets)`` of an earlier client, to hear what happened since.
        timeout: seconds that a command or view may take, reconnects included; None: as long as it takes.
        connect_timeout: seconds until ``async with`` gives up.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        tokens: Signed | Source | None = None,
        resume: tuple[str | None, Mapping[str, int]] | None = None,
        timeout: float | None = 60.0,
        connect_timeout: float | None = 30.0,
    ) -> None:
        source = token if tokens is None else tokens
        if source is None:
            raise TypeError("give token=, or tokens= of starwire.client.guest() or login()")
        self.welcome: dict[str, Any] = {}
        """What the server said in its last hello: player, name, limits…"""
        self.timeout = timeout
        self._connect_timeout = connect_timeout
        self._random = random.SystemRandom()
        self._page = secrets.token_hex(4)
        self._count = 0
        self._tokens = Tokens(source, url.replace("ws", "http", 1) if url.startswith("ws") else url)
        self._cursors = Cursors(*(resume or (None, None)))
        self._clock = ServerClock(time.time)
        self._link = Link(url, self._tokens, self, self._next_id, self._random)
        self._outbox = Outbox(self._link.send, self._next_id, self._random)
        self._upkeep = Upkeep(
            self._link,
            self._tokens,
            self._clock,
            next_id=self._next_id,
            spawn=self._spawn,
            source=self._random,
        )
        self._states: list[LiveState] = []
        self._listeners = Listeners(self._call)
        self._tasks: set[asyncio.Task[Any]] = set()
        self._running: asyncio.Task[None] | None = None
        self._open = asyncio.Event()
        self._over: str | None = None

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def connect(self) -> None:
        """Connect, and wait for the first hello.

        Raises:
            AuthError: the token was refused.
            CommandError: ``closed``; the server refused for another reason.
            TimeoutError: no server answered in time.
        """
        self._running = asyncio.get_running_loop().create_task(self._run())
        try:
            async with asyncio.timeout(self._connect_timeout):
                await self._open.wait()
        except TimeoutError:
            await self.close()
            sentence = f"no connection within {self._connect_timeout} s: {self._link.why}"
            raise TimeoutError(sentence) from None
        if self._over is not None:
            why = self._over
            await self.close()
            if why.startswith("unauthorized"):
                raise AuthError("unauthorized", why, status=401)
            raise errors.closed("hello", why)

    async def close(self) -> None:
        """Close the connection; what still waits for an answer gets the ``CommandError`` ``closed``."""
        tasks = {*self._tasks, *([] if self._running is None else [self._running])}
        tasks.discard(asyncio.current_task())  # a listener may close its own client
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._end(self._over or "closed here")

    # Commands and views

    async def command(self, name: str | kinds.Command, /, **args: Any) -> Any:
        """Have a command carried out, once however often it must be sent, and give its result.

        Args:
            name: its wire name, or the struct itself.
            args: its arguments, when it was named.

        Raises:
            CommandError: it was refused.
        """
        return (await self._ask(name, args))["result"]

    async def view(self, name: str | kinds.View, /, **args: Any) -> ViewResult:
        """Ask a view.

        Raises:
            CommandError: it was refused.
        """
        reply = await self._ask(name, args)
        return ViewResult(reply["result"], reply.get("positions", {}))

    async def state(
        self,
        view: str,
        args: Mapping[str, Any] | None = None,
        *,
        read: Callable[[Any], object],
        apply: Listener,
        error: Callable[[CommandError], object] | None = None,
    ) -> LiveState:
        """Keep a state true: ``read`` gets the view's result, then ``apply`` each later push of its streams.

        Returns when the view was read for the first time. It is read again, and ``read`` called again, when
        history was lost; should it be refused then, ``error`` is told, and it is asked again after the next
        grant or reconnect.

        Raises:
            CommandError: the view was refused.
        """

        async def ask() -> ViewResult:
            return await self.view(view, **(args or {}))

        hooks = Hooks(ask, read, apply, lambda: self._cursors.offsets, self._states.remove, error)
        live = LiveState(hooks, self._random)
        self._states.append(live)
        try:
            await live.ready
        except BaseException:
            live.close()
            raise
        return live

    # Pushes

    def on(self, event: str, listener: Listener) -> Callable[[], None]:
        """Call ``listener``, async or not, with each push of this event (``*``: any).

        Returns what ends it.
        """
        return self._listeners.add(event, listener)

    def pushes(self) -> AsyncIterator[Push]:
        """Every push from now on, until the client is closed.

        Iterating raises ``Lagged`` when the reader was so slow that some were dropped.
        """
        return self._listeners.read()

    async def wait_for(
        self,
        event: str,
        where: Callable[[Push], bool] | None = None,
        *,
        timeout: float | None = 30.0,  # noqa: ASYNC109 -- to name what came instead
    ) -> Push:
        """The first push of this event (``*``: any) that no earlier ``wait_for`` has returned.

        It may have arrived already (the last 1,000 are remembered), so that nothing is missed between a
        command's answer and this call.

        Args:
            event: its wire name.
            where: which of them.
            timeout: seconds.

        Raises:
            TimeoutError: none came; the message says what came instead.
            CommandError: ``closed``.
        """
        return await self._listeners.wait(event, where, timeout)

    # What is known

    @property
    def player(self) -> str:
        """Who this is."""
        return str(self.welcome.get("player", ""))

    @property
    def epoch(self) -> str | None:
        """The database's epoch: with ``offsets``, what ``resume`` takes."""
        return self._cursors.epoch

    @property
    def offsets(self) -> dict[str, int]:
        """The last offset seen of each stream."""
        return dict(self._cursors.offsets)

    @property
    def connected(self) -> bool:
        """Whether hello was answered on the present connection."""
        return self._open.is_set() and self._over is None

    def now(self) -> datetime:
        """The time by the server's clock, UTC."""
        return datetime.fromtimestamp(self._clock.now(), UTC)

    def raw(self, text: str) -> bool:
        """Send a text as it is; False when there is no connection."""
        return self._link.send(text)

    # What happens on the link; implements ``link.Receiver``

    def hello_args(self) -> dict[str, Any]:
        """Where to go on."""
        return self._cursors.resume()

    def opened(self, result: dict[str, Any], asked_at: float) -> None:
        """Hello was answered."""
        self.welcome = result
        reset, jumps = self._cursors.welcome(result)
        if reset:
            for state in list(self._states):
                state.reset()
        for jump in jumps:
            self._jump(jump.stream, jump.offset, lost=jump.lost)
        self._outbox.opened(result.get("limits", {}))
        for state in list(self._states):
            state.opened()
        self._open.set()
        self._upkeep.opened(result["server_time"], asked_at)

    def lost(self) -> None:
        """The connection is gone."""
        self._open.clear()
        self._outbox.lost()
        self._upkeep.lost()

    def frame(self, frame: dict[str, Any]) -> None:
        """A frame arrived; those of a later version of the protocol are not for us."""
        kind = frame.get("type")
        if kind == "push":
            self._push(msgspec.convert(frame, Push))
        elif kind == "reply":
            self._reply(frame)
        elif kind == "resync":
            self._resync(frame["stream"], frame["offset"])
        elif kind == "goodbye":
            self._outbox.hold()
        elif kind == "status" and "token_expires_in" in frame:
            self._upkeep.renew()

    def _reply(self, frame: dict[str, Any]) -> None:
        answered = self._upkeep.reply(frame) or self._outbox.reply(frame)
        if not answered and not frame.get("ok"):
            log.warning("unexpected_refusal", error=frame.get("error"))

    def _push(self, push: Push) -> None:
        verdict = self._cursors.take(push.stream, push.offset)
        if verdict is Verdict.GAP:
            raise Reconnect(f"gap in {push.stream} before {push.offset}")
        if verdict is Verdict.LOST:
            self._resync(push.stream, push.offset - 1)
            self._cursors.take(push.stream, push.offset)
        elif verdict is not Verdict.NEXT:
            return
        granted = self._cursors.grant(push)
        for state in list(self._states):
            state.push(push)
        if granted is not None and granted[1] is not None:
            self._jump(granted[0], granted[1], lost=False)
        self._listeners.deliver(push)

    def _call(self, listener: Listener, push: Push) -> None:
        try:
            result = listener(push)
        except Exception:
            log.exception("listener_failed", push=push.event)
            return
        if inspect.iscoroutine(result):
            self._spawn(result)

    def _resync(self, stream: str, offset: int) -> None:
        if self._cursors.resync(stream, offset):
            self._jump(stream, offset, lost=True)

    def _jump(self, stream: str, offset: int, *, lost: bool) -> None:
        for state in list(self._states):
            state.jump(stream, offset, lost=lost)

    # Questions

    async def _ask(self, name: str | kinds.Kind, args: Mapping[str, Any]) -> dict[str, Any]:
        wire_name = name if isinstance(name, str) else kinds.wire_name(type(name))
        if self._over is not None:
            raise errors.closed(wire_name, self._over)
        return await self._outbox.ask(wire_name, args if isinstance(name, str) else name, self.timeout)

    def _next_id(self) -> str:
        self._count += 1
        return f"{self._page}-{self._count}"

    def _spawn(self, coroutine: Any) -> asyncio.Task[Any]:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("task_failed", exc_info=error)

    async def _run(self) -> None:
        why = "failed"
        try:
            why = await self._link.run()
        except Exception:
            log.exception("client_failed")
        finally:
            self._end(why)

    def _end(self, why: str) -> None:
        if self._over is None:
            self._over = why
        self._open.set()  # whoever waits for it looks at ``_over``
        self._outbox.closed(self._over)
        for state in list(self._states):
            state.close()
        self._listeners.end(self._over)
