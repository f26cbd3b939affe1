"""Pub/sub as a gateway hears it, over connections that are lost."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import redis.asyncio

from starwire.batch import Event
from starwire.engines.distributed import messages
from starwire.engines.distributed.broker import RedisBroker
from starwire.engines.distributed.services import Valkey
from tests.distributed.watching import eventually

STREAMS = ("player:1", "universe:1")


class Ears:
    """A broker, and what it brought."""

    def __init__(self, url: str) -> None:
        self.events: list[Event] = []
        self.replies: list[messages.Replies] = []
        self.reconnects = 0
        self.broker = RedisBroker(url, "here", self.replies.append)
        self.broker.attach(self.events.extend)
        self.broker.on_reconnect(self._count)

    def _count(self) -> None:
        self.reconnects += 1


@pytest.fixture
async def ears(valkey: Valkey) -> AsyncIterator[Ears]:
    made = Ears(valkey.url)
    await made.broker.start()
    for stream in STREAMS:
        made.broker.subscribe(stream)
    await made.broker.ready(STREAMS)
    yield made
    await made.broker.stop()


@pytest.fixture
async def client(valkey: Valkey) -> AsyncIterator[redis.asyncio.Redis]:
    made = redis.asyncio.Redis.from_url(valkey.url)
    yield made
    await made.aclose()


def event(offset: int, stream: str = STREAMS[0]) -> Event:
    return Event(stream, offset, "ripe", b"{}")


async def publish(client: redis.asyncio.Redis, each: Event) -> int:
    """Publish as a worker does; how many heard it."""
    heard: int = await client.publish(messages.STREAM + each.stream, messages.encode(each))
    return heard


async def test_what_is_subscribed_is_heard_and_what_is_not_is_not(
    ears: Ears, client: redis.asyncio.Redis
) -> None:
    assert await publish(client, event(1)) == 1
    await eventually(lambda: ears.events == [event(1)], "the event")
    ears.broker.unsubscribe(STREAMS[0])
    channel = messages.STREAM + STREAMS[0]
    async with asyncio.timeout(5):
        while dict(await client.pubsub_numsub(channel))[channel.encode()]:
            pass
    assert await publish(client, event(2)) == 0


async def test_a_stream_that_two_hear_is_heard_until_both_have_left(
    ears: Ears, client: redis.asyncio.Redis
) -> None:
    ears.broker.subscribe(STREAMS[0])
    ears.broker.unsubscribe(STREAMS[0])
    assert await publish(client, event(1)) == 1
    await eventually(lambda: ears.events == [event(1)], "the event")


async def test_after_a_lost_connection_everything_is_heard_again_before_heads_are_compared(
    ears: Ears, client: redis.asyncio.Redis
) -> None:
    assert ears.reconnects == 0
    for lost in (1, 2):
        heard: list[int] = []
        ears.broker.on_reconnect(lambda heard=heard: heard.append(len(ears.broker._held)))  # type: ignore[misc]
        await client.client_kill_filter(_type="pubsub")
        await eventually(lambda lost=lost: ears.reconnects == lost, "the reconnect", seconds=3)  # type: ignore[misc]
        assert heard == [1 + len(STREAMS)], "what is published meanwhile would be missed"
        ears.events.clear()
        for stream in STREAMS:
            assert await publish(client, event(lost, stream)) == 1
        await eventually(lambda: len(ears.events) == len(STREAMS), "events")


async def test_a_message_that_nobody_understands_harms_nobody(
    ears: Ears, client: redis.asyncio.Redis
) -> None:
    await client.publish(messages.STREAM + STREAMS[0], b"\xc1")
    await client.publish(messages.REPLIES + "here", b"\xc1")
    await publish(client, event(1))
    await eventually(lambda: ears.events == [event(1)], "the event")


async def test_without_a_broker_the_gateway_starts_all_the_same(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    valkey = Valkey(tmp_path_factory.mktemp("valkey"))
    ears = Ears(valkey.url)
    await ears.broker.start()
    ears.broker.subscribe(STREAMS[0])
    with valkey:
        await ears.broker.ready(STREAMS[:1])
        await eventually(lambda: STREAMS[0] in ears.broker._held, "the subscription")
        await ears.broker.stop()
