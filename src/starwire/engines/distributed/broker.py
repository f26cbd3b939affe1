"""Pub/sub of Redis or Valkey: encoded events and replies on their way to this gateway.

A channel is subscribed for as long as somebody here hears its stream. Nothing is trusted to arrive: after
every reconnect, and every few seconds, the gateway compares heads with the table.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence

import msgspec
import redis.asyncio
import structlog
from redis.exceptions import RedisError

from starwire.batch import Event
from starwire.broker import Deliver
from starwire.engines.distributed import messages
from starwire.engines.distributed.addresses import connection_options

log = structlog.get_logger("starwire.broker")

RECONNECT_SECONDS = 0.5


class RedisBroker:
    """Implements ``starwire.broker.Broker``."""

    lossy = True

    def __init__(self, url: str, gateway: str, on_replies: Callable[[messages.Replies], None]) -> None:
        self._redis = redis.asyncio.Redis.from_url(
            url, socket_connect_timeout=2, health_check_interval=5, protocol=2, **connection_options(url)
        )
        self._replies = messages.REPLIES + gateway
        self._on_replies = on_replies
        self._deliver: list[Deliver] = []
        self._wanted: dict[str, int] = {}
        self._held: set[str] = set()
        self._changed = asyncio.Event()
        self._settled = asyncio.Condition()
        self._task: asyncio.Task[None] | None = None
        self._connections = 0
        self._recovering = False
        self._reconnected: list[Callable[[], None]] = []

    def attach(self, deliver: Deliver) -> None:
        """Give events of subscribed streams to ``deliver``."""
        self._deliver.append(deliver)

    def on_reconnect(self, function: Callable[[], None]) -> None:
        """Call a function when messages may have been lost, and everything wanted is heard again."""
        self._reconnected.append(function)

    def subscribe(self, stream: str) -> None:
        """Ask for a stream; ``ready`` waits until it is heard."""
        self._wanted[stream] = self._wanted.get(stream, 0) + 1
        self._changed.set()

    def unsubscribe(self, stream: str) -> None:
        """Hear it no longer."""
        count = self._wanted.get(stream, 0) - 1
        if count > 0:
            self._wanted[stream] = count
        else:
            self._wanted.pop(stream, None)
            self._changed.set()

    async def ready(self, streams: Sequence[str]) -> None:
        """Wait until these streams are heard; with the broker down, go on: the table has all."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1.0), self._settled:
                await self._settled.wait_for(lambda: self._held.issuperset(streams))

    async def start(self) -> None:
        """Begin; replies to what is sent after this are heard, unless the broker is down."""
        self._task = asyncio.get_running_loop().create_task(self._run())
        await self.ready([self._replies])

    async def stop(self) -> None:
        """End."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        await self._redis.aclose()

    async def _run(self) -> None:
        while True:
            pubsub = self._redis.pubsub()
            try:
                await pubsub.subscribe(self._replies)
                self._changed.set()
                await self._serve(pubsub)
            except Exception as error:  # noqa: BLE001 - whatever it was, this gateway must hear again
                log.warning("broker_lost", error=str(error))
                self._held.clear()
                await asyncio.sleep(RECONNECT_SECONDS)
            finally:
                with contextlib.suppress(RedisError, OSError):
                    await pubsub.aclose()  # type: ignore[no-untyped-call]

    async def _serve(self, pubsub: redis.asyncio.client.PubSub) -> None:
        follow = asyncio.get_running_loop().create_task(self._follow(pubsub))
        try:
            while True:
                message = await pubsub.get_message(ignore_subscribe_messages=False, timeout=5.0)
                if follow.done():
                    follow.result()
                if message is not None:
                    await self._handle(message)
        finally:
            follow.cancel()
            with contextlib.suppress(asyncio.CancelledError, RedisError, OSError):
                await follow

    async def _follow(self, pubsub: redis.asyncio.client.PubSub) -> None:
        """Bring the subscriptions to what is wanted, several at once."""
        asked: set[str] = set()
        while True:
            await self._changed.wait()
            self._changed.clear()
            wanted = set(self._wanted)
            more, less = wanted - asked, asked - wanted
            if more:
                await pubsub.subscribe(*[messages.STREAM + name for name in more])
            if less:
                await pubsub.unsubscribe(*[messages.STREAM + name for name in less])
            asked = wanted

    async def _handle(self, message: dict[str, object]) -> None:
        kind, channel, data = message["type"], message["channel"], message["data"]
        name = channel.decode() if isinstance(channel, bytes) else str(channel)
        stream = name.removeprefix(messages.STREAM)
        if kind == "message" and isinstance(data, bytes):
            try:
                self._hand_over(name, stream, data)
            except msgspec.DecodeError as error:  # of another version, or somebody else's
                log.warning("message_not_understood", channel=name, error=str(error))
        elif kind in ("subscribe", "unsubscribe"):
            await self._settle(name, stream, subscribed=kind == "subscribe")

    def _hand_over(self, name: str, stream: str, data: bytes) -> None:
        if name == self._replies:
            self._on_replies(messages.decode_replies(data))
        elif stream in self._wanted:
            events: list[Event] = [messages.decode_event(data)]
            for deliver in self._deliver:
                deliver(events)

    async def _settle(self, name: str, stream: str, *, subscribed: bool) -> None:
        """A subscription stands, or has ended.

        The client library reconnects by itself and subscribes again. That the first of all channels is
        confirmed once more is what shows it: then only what is confirmed after it is heard.
        """
        async with self._settled:
            if name == self._replies and subscribed:
                self._held.clear()
                self._recovering = self._connections > 0
                self._connections += 1
            (self._held.add if subscribed else self._held.discard)(stream)
            self._settled.notify_all()
        if self._recovering and self._held.issuperset(self._wanted):
            self._recovering = False
            log.info("broker_reconnected")
            for function in self._reconnected:
                function()
