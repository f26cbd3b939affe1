"""A well-behaved player beside the hostile ones: an order, its reply and its push, and again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from tests.hostile.wire import PATIENCE_SECONDS, Wire, order

PAUSE_SECONDS = 0.05
"""Between two orders: a quick player, below the limit of commands."""
NOTICE_SECONDS = 3.0
"""An order that takes so long is noticed. Much, because the machine may have other things to do."""


class Bystander:
    """Plays on one connection, which must last."""

    def __init__(self, wire: Wire) -> None:
        self.orders = 0
        self.slowest = 0.0
        self._wire = wire
        self._played = asyncio.Event()

    @classmethod
    @asynccontextmanager
    async def plays(cls, port: int, token: str) -> AsyncIterator[Bystander]:
        """Let one play while the block runs."""
        async with Wire.greeted(port, token) as wire:
            player = cls(wire)
            playing = asyncio.get_running_loop().create_task(player._play())
            try:
                yield player
            finally:
                playing.cancel()
                with suppress(asyncio.CancelledError):
                    await playing

    async def plays_on(self) -> None:
        """Wait for one more order to be carried out.

        Raises:
            AssertionError: something was noticed, now or earlier.
        """
        before = self.orders
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                while self.orders == before and self._wire.closed is None:
                    self._played.clear()
                    await self._played.wait()
        except TimeoutError:
            raise AssertionError(f"the bystander waits for order {self.orders + 1}") from None
        assert self._wire.closed is None, f"the bystander was thrown out: {self._wire.closed}"
        offsets = [push["offset"] for push in self._wire.pushes]
        assert offsets == list(range(1, len(offsets) + 1)), f"the bystander was told {offsets}"
        assert self.slowest < NOTICE_SECONDS, f"the bystander waited {self.slowest:.1f} s for a reply"

    async def _play(self) -> None:
        while True:
            number = self.orders + 1
            sent = time.monotonic()
            await self._wire.say(order("write", f"b-{number}", mark=str(number)))
            while len(self._wire.replies) <= number or len(self._wire.pushes) < number:
                if await self._wire.hear() is None:
                    self._played.set()
                    return
            self.slowest = max(self.slowest, time.monotonic() - sent)
            reply, push = self._wire.replies[-1], self._wire.pushes[-1]
            assert (reply["id"], reply.get("result")) == (f"b-{number}", str(number)), reply
            assert (push["event"], push["data"]) == ("written", {"mark": str(number)}), push
            self.orders = number
            self._played.set()
            await asyncio.sleep(PAUSE_SECONDS)
