"""Guarantee 1: one reply, one effect."""

import asyncio
import json

import pytest

from starwire.store import tables
from tests.contract import garden
from tests.contract.harness import Engine


def texts(engine: Engine) -> list[str]:
    return [row.text for row in engine.rows(garden.notes)]


async def test_the_same_id_again_gets_the_same_reply_and_no_second_effect(engine: Engine) -> None:
    await engine.start()
    ann = await engine.connect("ann")
    assert await ann.command("note", id="k1", text="once") == 1
    assert await ann.command("note", id="k1", text="once") == 1
    first, second = ann.replies("k1")
    assert first == second
    assert texts(engine) == ["once"]
    assert len(ann.pushes("noted")) == 1


async def test_the_same_id_on_two_connections_at_once_has_one_effect(engine: Engine) -> None:
    await engine.start()
    one, two = await engine.connect("ann"), await engine.connect("ann")
    gate = engine.gate()
    await one.order("note", text="holds the writer", gate=str(gate))
    for client in (one, two, one, two):
        await client.order("note", id="k1", text="once")
    gate.open()
    replies = [
        await one.reply("k1"),
        await one.reply("k1", 1),
        await two.reply("k1"),
        await two.reply("k1", 1),
    ]
    assert [reply["result"] for reply in replies] == [2, 2, 2, 2]
    assert texts(engine) == ["holds the writer", "once"]


async def test_the_stored_reply_outlives_a_restart(engine: Engine) -> None:
    await engine.start()
    ann = await engine.connect("ann")
    before = await ann.command("plant", id="k1", text="tree", seconds=3600)
    await engine.stop()
    await engine.start()
    ann = await engine.connect("ann")
    assert await ann.command("plant", id="k1", text="tree", seconds=3600) == before
    assert len(engine.rows(tables.process)) == 1


async def test_two_players_may_use_the_same_id(engine: Engine) -> None:
    await engine.start()
    ann, bob = await engine.connect("ann"), await engine.connect("bob")
    assert await ann.command("note", id="k1", text="ann's") == 1
    assert await bob.command("note", id="k1", text="bob's") == 2


@pytest.mark.parametrize("other", [("note", {"text": "another"}), ("shout", {"stream": "all"})])
async def test_the_same_id_for_something_else_is_an_invalid_argument(
    engine: Engine, other: tuple[str, dict[str, str]]
) -> None:
    await engine.start()
    ann = await engine.connect("ann")
    await ann.command("note", id="k1", text="once")
    command, args = other
    error = await ann.refused(command, id="k1", **args)
    assert (error["code"], error["retry"]) == ("invalid_args", False)
    assert "k1" in error["message"]
    assert await ann.command("note", id="k1", text="once") == 1, "the first reply stays"
    assert texts(engine) == ["once"]


async def test_the_same_arguments_in_other_words_are_the_same_command(engine: Engine) -> None:
    await engine.start()
    ann = await engine.connect("ann")
    await ann.command("note", id="k1", text="once", bed="b")
    await ann.send('{"args": {"bed" : "b","text":"\\u006fnce", "gate":""}, "command":"note", "id":"k1"}')
    assert (await ann.reply("k1", 1))["result"] == 1
    assert texts(engine) == ["once"]


async def test_a_rejection_is_stored_though_the_reason_for_it_has_gone(engine: Engine) -> None:
    await engine.start()
    ann = await engine.connect("ann")
    first = await ann.refused("spoil", id="k1", how="reject")
    assert first == {
        "code": "rejected",
        "reason": "spoilt",
        "message": "It is spoilt.",
        "details": {"need": 1},
        "retry": False,
    }
    assert await ann.refused("spoil", id="k1", how="reject") == first
    assert [row.id for row in engine.rows(tables.reply)] == ["k1"]


async def test_a_failure_on_the_server_is_stored(engine: Engine) -> None:
    await engine.start()
    ann = await engine.connect("ann")
    assert (await ann.refused("spoil", id="k1", how="raise"))["code"] == "internal"
    assert (await ann.refused("spoil", id="k1", how="raise"))["code"] == "internal"
    assert [row.id for row in engine.rows(tables.reply)] == ["k1"]


async def test_what_was_refused_as_overloaded_is_not_stored_and_may_be_sent_again(engine: Engine) -> None:
    await engine.start(pending_commands=2, commands_in_flight=2)
    ann, bob, cid = [await engine.connect(name) for name in ("ann", "bob", "cid")]
    gate = engine.gate()
    held = await ann.order("note", text="holds the writer", gate=str(gate))
    await gate.reached()
    for number in range(2):
        await bob.order("note", id=f"b{number}", text=f"waits {number}")
    await bob.command("ping")
    assert (await cid.refused("note", id="k1", text="late"))["code"] == "overloaded"
    gate.open()
    await ann.reply(held)
    await bob.reply("b1")
    assert await cid.command("note", id="k1", text="late") == 4


async def test_a_command_without_an_id_is_answered_with_null_and_stored_nowhere(engine: Engine) -> None:
    await engine.start()
    ann = await engine.connect("ann")
    for nth in range(2):
        await ann.send(json.dumps({"command": "note", "args": {"text": "again"}}))
        assert (await ann.reply(None, nth))["result"] == nth + 1
    assert engine.rows(tables.reply) == []


async def test_views_and_built_in_commands_are_stored_nowhere(engine: Engine) -> None:
    await engine.start()
    ann = await engine.connect("ann")
    await ann.command("journal", id="k1")
    await ann.command("ping", id="k1", t=1)
    await ann.command("processes", id="k1")
    assert engine.rows(tables.reply) == []


async def test_every_command_of_many_gets_exactly_one_reply(engine: Engine) -> None:
    await engine.start(commands_burst=1000)
    clients = [await engine.connect(f"p{number}") for number in range(5)]
    await asyncio.gather(
        *(client.command("note", id=f"k{n}", text="x") for client in clients for n in range(50))
    )
    await asyncio.gather(*(client.command("ping") for client in clients))
    for client in clients:
        assert [len(client.replies(f"k{n}")) for n in range(50)] == [1] * 50
    assert len(texts(engine)) == 250


async def test_a_command_whose_sender_has_gone_takes_effect_and_can_be_asked_for(engine: Engine) -> None:
    await engine.start()
    ann, watcher = await engine.connect("ann"), await engine.connect("ann")
    await ann.order("note", id="k1", text="parting words")
    ann.vanish()
    await watcher.heard("noted")
    assert await watcher.command("note", id="k1", text="parting words") == 1
    assert texts(engine) == ["parting words"]
