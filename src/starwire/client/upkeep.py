"""What a connection asks for on its own account: the server's time again and again, and a new token in time.

``call`` is a built-in command on this very connection; it lives and dies with it. Renewals go on over a loss
only as far as the exchange itself: the next hello takes the new token.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections.abc import Callable, Coroutine
from typing import Any

import msgspec
import structlog

from starwire.client.accounts import Tokens
from starwire.client.clock import ServerClock
from starwire.client.errors import AuthError
from starwire.client.frames import backoff
from starwire.client.link import Link

CLOCK_SAMPLES = 5  # after each hello
CLOCK_SAMPLE_SECONDS = 0.25  # between them
CLOCK_AGAIN_SECONDS = 600.0  # crystals drift by some tens of milliseconds in that time
Spawn = Callable[[Coroutine[Any, Any, None]], "asyncio.Task[Any]"]
log = structlog.get_logger("starwire.client")


class Upkeep:
    """The clock and the token of one client's connections."""

    def __init__(
        self,
        link: Link,
        tokens: Tokens,
        clock: ServerClock,
        *,
        next_id: Callable[[], str],
        spawn: Spawn,
        source: random.Random,
    ) -> None:
        self._link = link
        self._tokens = tokens
        self._clock = clock
        self._next_id = next_id
        self._spawn = spawn
        self._source = source
        self._calls: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._sampling: asyncio.Task[Any] | None = None
        self._renewing: asyncio.Task[Any] | None = None
        self._renewal: asyncio.TimerHandle | None = None

    def opened(self, server_time: str, asked_at: float) -> None:
        """Hello, said at ``asked_at``, was answered."""
        self._clock.sample(asked_at, time.time(), server_time)
        self._sampling = self._spawn(self._sample_clock())
        self._renew_later()

    def lost(self) -> None:
        """The connection is gone, and with it what was asked on it."""
        for call in self._calls.values():
            call.cancel()
        self._calls.clear()
        if self._sampling is not None:
            self._sampling.cancel()
        if self._renewal is not None:
            self._renewal.cancel()

    def reply(self, frame: dict[str, Any]) -> bool:
        """Settle the call that this reply answers; False when there is none."""
        call = self._calls.pop(frame.get("id") or "", None)
        if call is not None and not call.done():
            call.set_result(frame)
        return call is not None

    def renew(self) -> None:
        """Get a new token for the open connection; one renewal at a time."""
        if self._renewing is None or self._renewing.done():
            self._renewing = self._spawn(self._renew())

    async def _call(self, command: str, args: Any) -> dict[str, Any]:
        id = self._next_id()
        call: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._calls[id] = call
        if not self._link.send(msgspec.json.encode({"id": id, "command": command, "args": args}).decode()):
            call.cancel()  # as ``lost`` does
        return await call

    async def _sample_clock(self) -> None:
        for number in itertools.count(1):
            sent = time.time()
            reply = await self._call("ping", {})
            if reply.get("ok"):
                self._clock.sample(sent, time.time(), reply["result"]["server_time"])
            await asyncio.sleep(CLOCK_SAMPLE_SECONDS if number < CLOCK_SAMPLES else CLOCK_AGAIN_SECONDS)

    def _renew_later(self) -> None:
        if self._renewal is not None:
            self._renewal.cancel()
        wait = self._tokens.until_renewal()
        if wait is not None:
            self._renewal = asyncio.get_running_loop().call_later(wait, self.renew)

    async def _renew(self) -> None:
        """Failing for good, the server will close the connection, and say why."""
        for attempt in itertools.count(1):
            advised = None
            try:
                token = await self._tokens.renew(self._link.token)
            except AuthError as error:
                log.warning("no_new_token", reason=error.message)
                if error.final:
                    return
                advised = error.retry_after
            else:
                reply = await self._call("refresh", {"token": token})
                if reply.get("ok"):
                    self._link.token = token
                    self._renew_later()
                    return
                log.warning("token_refused", error=reply.get("error"))
            await asyncio.sleep((advised or 0.0) + backoff(attempt, self._source))
