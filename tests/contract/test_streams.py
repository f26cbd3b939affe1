"""Guarantee 5: streams have no gaps."""

import asyncio
import random
from typing import Any

import pytest
from sqlalchemy import delete, update

from starwire.store import tables
from tests.contract.harness import Client, Engine, eventually

OWN = "player:ann"


async def epoch_of(client: Client) -> str:
    epoch: str = client.frames[0]["result"]["epoch"]
    return epoch


async def shout(client: Client, count: int, stream: str = OWN, size: int = 0) -> None:
    await client.command("shout", stream=stream, count=count, size=size)


async def test_offsets_are_consecutive_in_the_order_of_the_commits(engine: Engine) -> None:
    await engine.start(commands_burst=1000)
    ann, bob = await engine.connect("ann"), await engine.connect("bob")
    await asyncio.gather(*(shout(client, n % 4 + 1, "all") for client in (ann, bob) for n in range(20)))
    for client in (ann, bob):
        await client.heard_up_to("all", 100)
        assert client.offsets("all") == list(range(1, 101))
    assert ann.pushes(stream="all") == bob.pushes(stream="all")


async def test_a_push_says_when_what_and_to_whom(engine: Engine) -> None:
    await engine.start()
    ann = await engine.connect("ann")
    await ann.command("note", text="hello")
    (push,) = await ann.heard("noted")
    assert push == {
        "type": "push",
        "stream": OWN,
        "offset": 1,
        "event": "noted",
        "at": "2030-01-01T00:00:00.000000Z",
        "data": {"text": "hello"},
    }


async def test_who_comes_for_the_first_time_begins_at_the_head(engine: Engine) -> None:
    await engine.start()
    ann = await engine.connect("ann")
    await shout(ann, 3)
    again = await engine.connect("ann")
    assert again.frames[0]["result"]["streams"][OWN] == {"offset": 3, "recovered": True}
    await shout(again, 1)
    await again.heard_up_to(OWN, 4)
    assert again.offsets(OWN) == [4]


async def test_after_a_reconnect_everything_that_was_missed_comes_once_and_in_order(engine: Engine) -> None:
    await engine.start(catch_up_events=3, recent_events=2)
    ann = await engine.connect("ann")
    await shout(ann, 5)
    await ann.heard_up_to(OWN, 5)
    ann.vanish()
    bob = await engine.connect("bob")
    await shout(bob, 15)
    back = await engine.connect("ann", resume={OWN: 5}, epoch=await epoch_of(ann))
    assert back.frames[0]["result"]["streams"][OWN] == {"offset": 20, "recovered": True}
    await shout(back, 2)
    await back.heard_up_to(OWN, 22)
    assert back.offsets(OWN) == list(range(6, 23))
    assert back.of_type("resync") == []


async def test_a_resume_outlives_a_restart_of_the_server(engine: Engine) -> None:
    await engine.start()
    ann = await engine.connect("ann")
    await shout(ann, 5)
    await ann.heard_up_to(OWN, 5)
    await engine.stop()
    await engine.start()
    back = await engine.connect("ann", resume={OWN: 2}, epoch=await epoch_of(ann))
    await back.heard_up_to(OWN, 5)
    assert back.pushes(stream=OWN) == ann.pushes(stream=OWN)[2:]


async def test_resuming_from_zero_gives_what_is_retained(engine: Engine) -> None:
    await engine.start()
    ann = await engine.connect("ann")
    await shout(ann, 9)
    engine.change(delete(tables.event).where(tables.event.c.offset <= 4))
    engine.change(update(tables.stream).where(tables.stream.c.name == OWN).values(pruned=4))
    back = await engine.connect("ann", resume={OWN: 0}, epoch=await epoch_of(ann))
    await back.heard_up_to(OWN, 9)
    assert back.offsets(OWN) == [5, 6, 7, 8, 9]


@pytest.mark.parametrize(
    ("resume", "same_epoch"), [(3, True), (99, True), (-1, True), (2**70, True), (7, False), (9, False)]
)
async def test_history_that_is_not_whole_is_a_resync_and_never_a_part(
    engine: Engine, resume: int, same_epoch: bool
) -> None:
    await engine.start()
    ann = await engine.connect("ann")
    await shout(ann, 9)
    engine.change(delete(tables.event).where(tables.event.c.offset <= 4))
    engine.change(update(tables.stream).where(tables.stream.c.name == OWN).values(pruned=4))
    epoch = await epoch_of(ann) if same_epoch else "another"
    back = await engine.connect("ann", resume={OWN: resume}, epoch=epoch)
    assert back.frames[0]["result"]["streams"][OWN]["recovered"] is False
    assert await back.told("resync") == {"type": "resync", "stream": OWN, "offset": 9}
    await shout(back, 1)
    await back.heard_up_to(OWN, 10)
    assert back.offsets(OWN) == [10]


async def test_what_is_pruned_while_a_server_runs_is_a_resync_too(engine: Engine) -> None:
    await engine.start(retained_events=10, catch_up_events=5, recent_events=5, prune_seconds=0.01)
    ann = await engine.connect("ann")
    await shout(ann, 40)
    await eventually(lambda: (OWN, 40, 30) in engine.rows(tables.stream), "the pruner")
    epoch = await epoch_of(ann)
    lost, kept = [await engine.connect("ann", resume={OWN: n}, epoch=epoch) for n in (29, 30)]
    assert await lost.told("resync") == {"type": "resync", "stream": OWN, "offset": 40}
    await kept.heard_up_to(OWN, 40)
    assert kept.offsets(OWN) == list(range(31, 41))
    assert lost.offsets(OWN) == []


async def test_a_stream_that_nobody_granted_cannot_be_resumed(engine: Engine) -> None:
    await engine.start()
    bob = await engine.connect("bob")
    await shout(bob, 3, "player:bob")
    await shout(bob, 3, "universe:1")
    resume = {"player:bob": 0, "universe:1": 0, OWN: 0}
    ann = await engine.connect("ann", resume=resume, epoch=await epoch_of(bob))
    assert set(ann.frames[0]["result"]["streams"]) == {OWN, "all"}
    await shout(bob, 1, "universe:1")
    await shout(bob, 1, "player:bob")
    await shout(bob, 1, "all")
    await ann.heard_up_to("all", 1)
    assert {push["stream"] for push in ann.pushes()} == {"all"}


async def test_a_granted_stream_is_heard_from_the_grant_on_by_every_connection(
    engine: Engine,
) -> None:
    await engine.start()
    ann, tab, bob = [await engine.connect(name) for name in ("ann", "ann", "bob")]
    await shout(bob, 3, "universe:1")
    await bob.command("share", player="ann", stream="universe:1")
    await shout(bob, 2, "universe:1")
    for client in (ann, tab):
        (grant,) = await client.heard("subscribed")
        assert grant["data"] == {"stream": "universe:1", "offset": 3}
        await client.heard_up_to("universe:1", 5)
        assert client.offsets("universe:1") == [4, 5]
    assert bob.offsets("universe:1") == []


async def test_a_stream_that_is_taken_is_heard_no_longer(engine: Engine) -> None:
    await engine.start()
    ann, bob = await engine.connect("ann"), await engine.connect("bob")
    await bob.command("share", player="ann", stream="universe:1")
    await shout(bob, 1, "universe:1")
    await bob.command("share", player="ann", stream="universe:1", on=False)
    await shout(bob, 1, "universe:1")
    await shout(bob, 1, "all")
    await ann.heard_up_to("all", 1)
    assert ann.offsets("universe:1") == [1]
    assert [push["event"] for push in ann.pushes(stream=OWN)] == ["subscribed", "unsubscribed"]
    back = await engine.connect("ann", resume={"universe:1": 0, OWN: 0}, epoch=await epoch_of(ann))
    assert "universe:1" not in back.frames[0]["result"]["streams"]
    await back.heard_up_to(OWN, 2)
    await shout(bob, 1, "universe:1")
    await back.command("ping")
    assert back.offsets("universe:1") == []


async def test_live_and_resumed_connections_under_concurrent_publishing(
    engine: Engine, rng: random.Random
) -> None:
    """Four publishers; readers that come, go and resume at any moment; each ends with everything, once."""
    await engine.start(recent_events=8, catch_up_events=8, commands_burst=10_000, connections_per_player=50)
    first = await engine.connect("ann")
    epoch, total = await epoch_of(first), 4 * 40
    publishers = [await engine.connect(f"p{number}") for number in range(4)]

    async def publish(client: Client) -> None:
        for _ in range(40):
            await shout(client, 1, OWN)

    async def come_and_go() -> list[Any]:
        heard: list[Any] = []
        while len(heard) < total:
            client = await engine.connect("ann", resume={OWN: len(heard)}, epoch=epoch)
            await client.so_many(OWN, min(total - len(heard), rng.randrange(1, 60)))
            client.vanish()
            heard += client.pushes(stream=OWN)
        return heard

    publishing = asyncio.gather(*(publish(client) for client in publishers))
    readers = await asyncio.gather(come_and_go(), come_and_go(), come_and_go())
    await publishing
    await first.heard_up_to(OWN, total)
    for heard in readers:
        assert [push["offset"] for push in heard] == list(range(1, total + 1))
        assert heard == first.pushes(stream=OWN)


async def test_a_view_tells_where_the_streams_stood_when_it_was_read(engine: Engine) -> None:
    await engine.start()
    ann = await engine.connect("ann")
    await ann.command("note", text="one")
    reply = await ann.reply(await ann.order("journal"))
    assert reply["positions"] == {OWN: 1}
    assert [text for text, _ in reply["result"]] == ["one"]


async def test_processes_tells_what_is_live_on_the_streams_one_hears(engine: Engine) -> None:
    await engine.start()
    ann, bob = await engine.connect("ann"), await engine.connect("bob")
    mine = await ann.command("plant", text="mine", seconds=60)
    await bob.command("plant", text="his", seconds=60, bed="his")
    reply = await ann.reply(await ann.order("processes"))
    assert reply["positions"] == {OWN: 1, "all": 0}
    (live,) = reply["result"]["processes"]
    assert live == {
        "process": mine["process"],
        "kind": "ripen",
        "owner": "ann",
        "started_at": "2030-01-01T00:00:00.000000Z",
        "due_at": "2030-01-01T00:01:00.000000Z",
        "state": "pending",
        "data": {"text": "mine"},
    }, "only the public fields are told"
