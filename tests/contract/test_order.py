"""Guarantee 2: per connection in the order sent, per key in order of time."""

import asyncio
from typing import Any

from tests.contract import garden
from tests.contract.harness import Engine


async def journal(client: Any, bed: str = "b") -> list[str]:
    return [text for text, _ in await client.command("journal", bed=bed)]


async def test_commands_of_a_connection_take_effect_in_the_order_sent(engine: Engine) -> None:
    await engine.start(commands_in_flight=200)
    ann = await engine.connect("ann")
    sent = [await ann.order("note", text=str(n)) for n in range(100)]
    assert [(await ann.reply(id))["result"] for id in sent] == list(range(1, 101))
    assert await journal(ann) == [str(n) for n in range(100)]


async def test_commands_for_different_keys_keep_their_connections_order_too(engine: Engine) -> None:
    await engine.start(commands_in_flight=200)
    ann = await engine.connect("ann")
    sent = [await ann.order("note", text=str(n), bed=f"bed{n % 7}") for n in range(98)]
    for id in sent:
        await ann.reply(id)
    assert [push["data"]["text"] for push in await ann.heard("noted", 98)] == [str(n) for n in range(98)]


async def test_frames_sent_before_hello_was_answered_keep_their_order(engine: Engine) -> None:
    await engine.start()
    ann = await engine.open()
    await ann.order("hello", token="ann")
    sent = [await ann.order("note", text=str(n)) for n in range(20)]
    assert [(await ann.reply(id))["result"] for id in sent] == list(range(1, 21))


async def test_what_is_due_runs_before_the_next_command_of_its_key(engine: Engine) -> None:
    await engine.start()
    ann = await engine.connect("ann")
    await ann.command("plant", text="tree", seconds=60)
    engine.clock.set(engine.clock.now() + 60_000_000)  # nobody has told the engine: the command comes first
    assert await ann.command("note", text="after the tree") == 2
    assert await journal(ann) == ["tree", "after the tree"]


async def test_a_moment_before_it_is_due_the_command_comes_first(engine: Engine) -> None:
    await engine.start()
    ann = await engine.connect("ann")
    await ann.command("plant", text="tree", seconds=60)
    engine.clock.set(engine.clock.now() + 59_999_999)
    await ann.command("note", text="before the tree")
    await engine.advance(microseconds=1)
    assert await journal(ann) == ["before the tree", "tree"]


async def test_what_was_started_for_now_runs_before_the_next_command_of_that_key(engine: Engine) -> None:
    await engine.start()
    ann, gate = await engine.connect("ann"), engine.gate()
    await ann.order("note", text="holds the writer", bed="other", gate=str(gate))
    await gate.reached()
    sent = [
        await ann.order("plant", text="at once", seconds=0, then=[0]),
        await ann.order("note", text="after both"),
    ]
    gate.open()
    for id in sent:
        await ann.reply(id)
    assert await journal(ann) == ["at once", "at once+", "after both"]


async def test_what_is_due_at_one_moment_runs_in_the_order_it_was_started(engine: Engine) -> None:
    await engine.start()
    ann = await engine.connect("ann")
    for name in ("one", "two", "three"):
        await ann.command("plant", text=name, seconds=60)
    await engine.advance(minutes=2)
    await ann.heard("ripe", 3)
    assert await journal(ann) == ["one", "two", "three"]


async def test_one_key_does_not_wait_for_what_is_due_on_another(engine: Engine) -> None:
    await engine.start()
    ann = await engine.connect("ann")
    await ann.command("plant", text="tree", bed="far", seconds=60)
    await engine.advance(seconds=30)
    assert await ann.command("note", text="near", bed="near") == 1
    assert await journal(ann, "far") == []


async def test_two_connections_that_send_at_once_see_one_order(engine: Engine) -> None:
    await engine.start()
    ann, bob = await engine.connect("ann"), await engine.connect("bob")
    results = await asyncio.gather(
        *(client.command("note", text="x") for client in (ann, bob) for _ in range(40))
    )
    assert sorted(results) == list(range(1, 81))
    assert len(engine.rows(garden.notes)) == 80


async def test_a_view_sees_what_was_replied_to_before(engine: Engine) -> None:
    await engine.start()
    ann, bob = await engine.connect("ann"), await engine.connect("bob")
    for number in range(1, 30):
        await ann.command("note", text=str(number))
        assert len(await journal(bob)) == number


async def test_after_an_outage_a_key_with_more_than_one_transaction_takes_keeps_its_order(
    engine: Engine,
) -> None:
    """Five trees are due, two fit in a transaction, and the first starts another that is due last."""
    await engine.start(batch_due=2, key_due=1)
    ann = await engine.connect("ann")
    await ann.command("plant", text="first", seconds=60, then=[3600])
    for minute in range(2, 6):
        await ann.command("plant", text=str(minute), seconds=60 * minute)
    await engine.stop()
    engine.clock.set(engine.clock.now() + 100 * 3600 * 1_000_000)
    await engine.start(batch_due=2, key_due=1)
    ann = await engine.connect("ann", resume={"player:ann": 0})
    await ann.heard("ripe", 6)
    rows = await ann.command("journal")
    assert [text for text, _ in rows] == ["first", "2", "3", "4", "5", "first+"]
    assert [at for _, at in rows] == sorted(at for _, at in rows), "time went back"


async def test_no_command_overtakes_due_work_of_its_key_that_did_not_fit(engine: Engine) -> None:
    await engine.start(batch_due=4, key_due=2)
    ann, gate = await engine.connect("ann"), engine.gate()
    await ann.command("plant", text="t", seconds=60, count=12)
    await ann.order("note", text="holds the writer", bed="other", gate=str(gate))
    await gate.reached()
    engine.clock.set(engine.clock.now() + 120_000_000)
    sent = [await ann.order("note", text=f"note {n}") for n in range(8)]
    gate.open()
    replies = [await ann.reply(id) for id in sent]
    for reply in replies:
        assert reply["ok"] or reply["error"]["code"] == "overloaded", reply
    await engine.advance(seconds=0)
    await ann.heard("ripe", 12)
    told = await journal(ann)
    trees = [text for text in told if not text.startswith("note")]
    assert trees == [f"t{n}" for n in range(12)]
    assert told[:12] == trees, f"a command ran before what was due: {told}"
