"""Guarantee 9: overload is honest."""

import itertools

from sqlalchemy import update

from starwire.store import tables
from tests.contract import garden
from tests.contract.harness import Engine


async def test_past_the_bound_a_command_is_refused_before_anything_happened(engine: Engine) -> None:
    await engine.start(pending_commands=64)
    one, two, gate = await engine.connect("ann"), await engine.connect("bob"), engine.gate()
    held = await one.order("note", text="holds the writer", gate=str(gate))
    await gate.reached()
    waiting = [await two.order("note", text=f"waits {n}") for n in range(64)]
    await two.command("ping")
    error = await one.refused("note", text="too many", id="k1")
    assert error["code"] == "overloaded"
    assert error["retry"] is True
    assert error["retry_after"] > 0
    assert (await one.command("ping", t=7))["t"] == 7, "pings are answered all the same"
    assert await one.command("journal") == [], "and so are views"
    gate.open()
    for id in (held, *waiting):
        client = one if id == held else two
        assert (await client.reply(id))["ok"]
    assert await one.command("note", text="again", id="k1") == 66
    assert "too many" not in [row.text for row in engine.rows(garden.notes)]


async def test_too_many_commands_of_one_connection_are_its_own_affair(engine: Engine) -> None:
    await engine.start(commands_in_flight=3, pending_commands=100)
    ann, bob, gate = await engine.connect("ann"), await engine.connect("bob"), engine.gate()
    sent = [await ann.order("note", text="x", gate=str(gate)) for _ in range(5)]
    for id in sent[3:]:
        reply = await ann.reply(id)
        assert (reply["error"]["code"], reply["error"]["retry"]) == ("rate_limited", True)
    other = await bob.order("note", text="y")
    gate.open()
    for id in sent[:3]:
        assert (await ann.reply(id))["ok"]
    assert (await bob.reply(other))["ok"]


async def test_too_many_commands_a_second_are_refused_with_the_time_to_wait(engine: Engine) -> None:
    await engine.start(commands_burst=5, commands_per_second=1.0)
    ann = await engine.connect("ann")
    for _ in range(4):
        await ann.command("ping")
    error = await ann.refused("ping")
    assert (error["code"], error["retry_after"]) == ("rate_limited", 1.0)
    await engine.advance(seconds=1)
    await ann.command("ping")


async def test_a_key_with_much_due_is_overloaded_while_others_go_on(engine: Engine) -> None:
    await engine.start(key_due=3, batch_due=4)
    ann, gate = await engine.connect("ann"), engine.gate()
    await ann.command("plant", text="t", seconds=60, count=20, bed="busy")
    hold = await ann.order("note", text="holds the writer", bed="other", gate=str(gate))
    await gate.reached()
    engine.clock.set(engine.clock.now() + 120_000_000)
    busy = await ann.order("note", text="here", bed="busy")
    calm = await ann.order("note", text="there", bed="calm")
    gate.open()
    await ann.reply(hold)
    error = (await ann.reply(busy))["error"]
    assert (error["code"], error["retry"]) == ("overloaded", True)
    assert error["retry_after"] > 0
    assert (await ann.reply(calm))["result"] == 1
    await engine.advance(seconds=0)
    assert await ann.command("note", text="here", bed="busy") == 21


async def test_lateness_is_told_while_it_lasts_and_once_when_it_is_over(engine: Engine) -> None:
    await engine.start(lateness_seconds=2.0, key_due=1, batch_due=2)
    ann = await engine.connect("ann")
    await ann.command("plant", text="t", seconds=60, count=6)
    gates = [engine.gate() for _ in range(3)]
    await ann.order("note", text="a", bed="other", gate=str(gates[0]))
    await gates[0].reached()
    engine.clock.set(engine.clock.now() + 70_000_000)
    for before, after in itertools.pairwise(gates):  # two of the six with each transaction
        await ann.order("note", text="b", bed="other", gate=str(after))
        before.open()
        await after.reached()
    engine.look()
    assert (await ann.told("status"))["lateness"] == 10.0
    gates[-1].open()
    await engine.advance(seconds=0)
    assert (await ann.told("status", 2))["lateness"] == 0.0
    await engine.advance(seconds=1)
    await ann.command("ping")
    assert len(ann.of_type("status")) == 2, "nothing is late, and nothing is said"


async def test_a_result_that_is_too_large_is_an_error_and_not_sent(engine: Engine) -> None:
    await engine.start(result_bytes=1000)
    ann = await engine.connect("ann")
    assert (await ann.refused("spoil", how="huge"))["code"] == "internal"
    for number in range(30):
        await ann.command("note", text=f"{number} " * 10)
    assert (await ann.refused("journal"))["code"] == "too_large"


async def test_work_that_is_held_for_an_unknown_kind_is_not_told_as_late_for_ever(engine: Engine) -> None:
    await engine.start()
    ann = await engine.connect("ann")
    await ann.command("plant", text="tree", seconds=60)
    engine.change(update(tables.process).values(version=9))
    await engine.advance(hours=1)
    await engine.advance(seconds=1)
    assert (await ann.refused("note", text="here"))["code"] == "unavailable"
    assert await ann.command("note", text="there", bed="there") == 1
