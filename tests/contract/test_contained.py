"""Guarantee 8: failures are contained."""

from typing import Any

import pytest
from sqlalchemy import update

from starwire.store import tables
from tests.contract import garden
from tests.contract.harness import Engine

HEALTHY = ["one", "two"]


async def spoil_between(engine: Engine, how: str) -> Any:
    """A command that fails, in one batch with two that do not; its error."""
    ann, gate = await engine.connect("ann"), engine.gate()
    await ann.order("note", text="holds the writer", bed="other", gate=str(gate))
    await gate.reached()
    before = await ann.order("note", text=HEALTHY[0])
    spoilt = await ann.order("spoil", how=how)
    after = await ann.order("note", text=HEALTHY[1])
    gate.open()
    assert (await ann.reply(before))["result"] == 1
    assert (await ann.reply(after))["result"] == 2
    return (await ann.reply(spoilt)).get("error")


@pytest.mark.parametrize("how", ["raise", "sql", "result", "details", "commit", "exit", "huge", "control"])
async def test_a_command_that_fails_is_rolled_back_alone(engine: Engine, how: str) -> None:
    await engine.start()
    error = await spoil_between(engine, how)
    assert (error["code"], error["retry"]) == ("internal", False)
    assert "secret" not in str(error), "the client is told nothing of the server's inside"
    assert [row.text for row in engine.rows(garden.notes) if row.bed == "b"] == HEALTHY


@pytest.mark.parametrize("how", ["stream", "surrogate", "far"])
async def test_what_cannot_be_written_is_the_fault_of_its_own_command(engine: Engine, how: str) -> None:
    await engine.start()
    error = await spoil_between(engine, how)
    assert error["code"] == "internal", "with `unavailable` the client would send it for ever"
    assert [row.text for row in engine.rows(garden.notes) if row.bed == "b"] == HEALTHY


async def test_what_a_database_may_not_hold_is_refused_at_the_door(engine: Engine) -> None:
    await engine.start()
    ann, bob = await engine.connect("ann"), await engine.connect("bob")
    await ann.order("note", id="n\0", text="a")
    assert (await ann.reply(None))["error"]["code"] == "invalid_args"
    for text in ("\0", "a\\\0"):
        assert (await ann.refused("note", text=text))["code"] == "invalid_args"
    await bob.command("note", text="b\\u0000")
    assert [text for text, _ in await bob.command("journal")] == ["b\\u0000"]


async def test_a_process_that_cannot_be_written_holds_up_nobody(engine: Engine) -> None:
    await engine.start()
    ann = await engine.connect("ann")
    id = (await ann.command("plant", text="poison", seconds=60, bed="poisoned"))["process"]
    await ann.command("plant", text="tree", seconds=61)
    await engine.stop()
    await engine.start(garden.build(poison=True))
    ann = await engine.connect("ann", resume={"player:ann": 0})
    await engine.advance(minutes=2)
    await ann.heard("process_completed")
    assert [row.text for row in engine.rows(garden.notes)] == ["tree"]
    assert await ann.command("note", text="life goes on") == 2
    (poisoned,) = engine.rows(tables.process)
    assert (poisoned.id, poisoned.state, poisoned.attempt) == (id, "retrying", 1)


async def test_a_process_is_tried_again_later_and_later_and_then_failed_with_its_traceback(
    engine: Engine,
) -> None:
    await engine.start(attempts=4)
    ann = await engine.connect("ann")
    await ann.command("plant", text="tree", seconds=60, fail=99)
    await engine.advance(minutes=1)
    waits = []
    for attempt in (1, 2, 3):
        (row,) = engine.rows(tables.process)
        assert (row.state, row.attempt) == ("retrying", attempt)
        waits.append((row.run_at - engine.clock.now()) / 1e6)
        await engine.advance(microseconds=row.run_at - engine.clock.now() - 1)
        assert engine.rows(tables.process) == [row], "tried too early"
        await engine.advance(microseconds=1)
    assert 0.5 <= waits[0] <= 1 <= waits[1] <= 2 <= waits[2] <= 4, waits
    await ann.heard("process_failed")
    assert engine.rows(tables.process) == []
    (failed,) = engine.rows(tables.finished)
    assert (failed.state, failed.attempt) == ("failed", 4)
    assert "Traceback" in failed.error
    assert "RuntimeError: attempt 3" in failed.error
    assert "RuntimeError" not in str(ann.frames)


async def test_what_failed_together_does_not_come_back_together(engine: Engine) -> None:
    await engine.start()
    ann = await engine.connect("ann")
    await ann.command("plant", text="t", seconds=60, fail=99, count=20)
    await engine.advance(minutes=1)
    assert len({row.run_at for row in engine.rows(tables.process)}) > 15


async def test_while_it_waits_for_another_try_it_holds_up_nothing(engine: Engine) -> None:
    await engine.start()
    ann = await engine.connect("ann")
    await ann.command("plant", text="ill", seconds=60, fail=99)
    await ann.command("plant", text="well", seconds=61)
    await engine.advance(minutes=1)
    assert await ann.command("note", text="meanwhile") == 1
    await engine.advance(milliseconds=1)
    (still,) = [row for row in engine.rows(tables.process) if row.state == "retrying"]
    assert still.attempt == 1
    await engine.advance(seconds=1)
    await ann.heard("process_completed")


async def test_a_process_that_is_rejected_fails_without_another_try(engine: Engine) -> None:
    await engine.start()
    ann = await engine.connect("ann")
    await ann.command("plant", text="tree", seconds=60, refuse=True)
    await engine.advance(minutes=1)
    await ann.heard("process_failed")
    (failed,) = engine.rows(tables.finished)
    assert (failed.state, failed.attempt, failed.error) == ("failed", 0, "barren: Nothing grows here.")
    assert engine.rows(garden.notes) == []


async def test_a_process_that_is_retrying_can_be_cancelled(engine: Engine) -> None:
    await engine.start()
    ann = await engine.connect("ann")
    id = (await ann.command("plant", text="ill", seconds=60, fail=99))["process"]
    await engine.advance(minutes=1)
    assert await ann.command("dig", process=id) is True
    await engine.advance(hours=1)
    assert [row.state for row in engine.rows(tables.finished)] == ["cancelled"]


async def test_a_kind_that_this_server_does_not_know_is_left_untouched(engine: Engine) -> None:
    await engine.start()
    ann = await engine.connect("ann")
    await ann.command("plant", text="tree", seconds=60)
    await engine.stop()
    await engine.start(garden.build(without=frozenset({"ripen"})))
    (before,) = engine.rows(tables.process)
    ann = await engine.connect("ann")
    await engine.advance(hours=1)
    assert (await ann.refused("note", text="here"))["code"] == "unavailable"
    assert await ann.command("note", text="elsewhere", bed="elsewhere") == 1, "other keys go on"
    assert engine.rows(tables.process) == [before]
    await engine.stop()
    await engine.start()
    ann = await engine.connect("ann", resume={"player:ann": 0})
    await ann.heard("process_completed")
    assert await ann.command("note", text="here") == 2


async def test_a_process_of_a_newer_version_than_this_code_is_left_untouched(engine: Engine) -> None:
    await engine.start()
    ann = await engine.connect("ann")
    await ann.command("plant", text="tree", seconds=60)
    engine.change(update(tables.process).values(version=9))
    (before,) = engine.rows(tables.process)
    await engine.advance(hours=1)
    assert engine.rows(tables.process) == [before], "an older server must not use up its tries"


@pytest.mark.parametrize("how", ["raise", "write"])
async def test_a_view_that_fails_says_so_and_changes_nothing(engine: Engine, how: str) -> None:
    await engine.start()
    ann = await engine.connect("ann")
    error = await ann.refused("blunder", how=how)
    assert error["code"] == "internal"
    assert "secret" not in str(error)
    assert engine.rows(garden.notes) == []
    assert await ann.command("journal") == []
