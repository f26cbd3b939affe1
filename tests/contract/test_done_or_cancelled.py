"""Guarantee 3: done or cancelled, never both, never twice."""

import asyncio
import random
from typing import Any

import pytest

from starwire.store import tables
from tests.contract import garden
from tests.contract.harness import Engine

ENDS = {"process_completed", "process_cancelled", "process_failed"}


def ends(client: Any) -> list[str]:
    return [push["event"] for push in client.pushes() if push["event"] in ENDS]


async def test_a_process_completes_once_and_everything_of_it_comes_together(engine: Engine) -> None:
    await engine.start()
    ann = await engine.connect("ann")
    started = await ann.command("plant", text="tree", seconds=60)
    await engine.advance(minutes=5)
    await ann.heard("process_completed")
    await engine.advance(minutes=5)
    await engine.stop()
    await engine.start()
    ann = await engine.connect("ann", resume={"player:ann": 0})
    await ann.heard("process_completed")
    assert [push["event"] for push in ann.pushes()] == ["process_started", "ripe", "process_completed"]
    assert [row.text for row in engine.rows(garden.notes)] == ["tree"]
    (row,) = engine.rows(tables.finished)
    assert (row.id, row.state) == (started["process"], "completed")
    assert engine.rows(tables.process) == []


async def test_what_was_cancelled_never_completes(engine: Engine) -> None:
    await engine.start()
    ann = await engine.connect("ann")
    started = await ann.command("plant", text="tree", seconds=60)
    assert await ann.command("dig", process=started["process"]) is True
    assert await ann.command("dig", process=started["process"]) is False
    await engine.advance(hours=1)
    await ann.heard("process_cancelled")
    assert ends(ann) == ["process_cancelled"]
    assert [row.text for row in engine.rows(garden.notes)] == [f"cancel {started['process']}"]
    assert [row.state for row in engine.rows(tables.finished)] == ["cancelled"]


async def test_what_has_completed_cannot_be_cancelled(engine: Engine) -> None:
    await engine.start()
    ann = await engine.connect("ann")
    started = await ann.command("plant", text="tree", seconds=60)
    engine.clock.set(engine.clock.now() + 60_000_000)
    assert await ann.command("dig", process=started["process"]) is False, "it was due: it completed first"
    await ann.heard("process_completed")
    assert ends(ann) == ["process_completed"]


async def test_cancelling_at_the_due_moment_gives_exactly_one_end(engine: Engine, rng: random.Random) -> None:
    await engine.start(commands_burst=1000)
    ann = await engine.connect("ann")
    started = [await ann.command("plant", text=f"t{n}", seconds=n % 5, bed=f"bed{n % 3}") for n in range(60)]
    order = list(range(60))
    rng.shuffle(order)
    cancelled = 0

    async def dig() -> None:
        nonlocal cancelled
        for n in order:
            cancelled += await ann.command("dig", process=started[n]["process"], bed=f"bed{n % 3}")

    async def let_time_pass() -> None:
        for _ in range(12):
            await engine.advance(milliseconds=500)

    await asyncio.gather(dig(), let_time_pass())
    await ann.until(lambda: len(ends(ann)) >= 60, "sixty ends")
    await ann.command("ping")
    assert len(ends(ann)) == 60
    assert ends(ann).count("process_cancelled") == cancelled
    noted = sorted(row.text for row in engine.rows(garden.notes))
    assert len(noted) == len(set(noted)) == 60, "each tree left exactly one mark"
    states = [row.state for row in engine.rows(tables.finished)]
    assert (states.count("cancelled"), states.count("completed")) == (cancelled, 60 - cancelled)


@pytest.mark.parametrize("how", ["reject", "raise", "sql", "result", "details", "commit", "huge"])
async def test_a_handler_that_fails_leaves_nothing_behind(engine: Engine, how: str) -> None:
    await engine.start()
    ann = await engine.connect("ann")
    await ann.command("note", text="before")
    error = await ann.refused("spoil", how=how)
    assert error["code"] == ("rejected" if how == "reject" else "internal")
    assert await ann.command("note", text="after") == 2
    await ann.heard("noted", 2)
    assert [row.text for row in engine.rows(garden.notes)] == ["before", "after"]
    assert engine.rows(tables.process) == []
    assert engine.rows(tables.subscription) == []
    assert ann.offsets("player:ann") == [1, 2], "no event of it, and no hole where one was"


async def test_a_process_that_raises_leaves_nothing_of_that_try(engine: Engine) -> None:
    await engine.start()
    ann = await engine.connect("ann")
    await ann.command("plant", text="tree", seconds=60, fail=1)
    await engine.advance(minutes=1)
    assert engine.rows(garden.notes) == []
    assert ann.pushes("ripe") == []
    await engine.advance(minutes=1)
    await ann.heard("process_completed")
    assert [row.text for row in engine.rows(garden.notes)] == ["tree"]
    assert len(ann.pushes("ripe")) == 1


async def test_a_paused_process_waits_and_a_resumed_one_is_due_after_what_remained(engine: Engine) -> None:
    await engine.start()
    ann = await engine.connect("ann")
    id = (await ann.command("plant", text="tree", seconds=60))["process"]
    await engine.advance(seconds=20)
    assert await ann.command("dig", process=id, action="pause") is True
    assert await ann.command("dig", process=id, action="pause") is False
    assert await ann.command("dig", process=id, action="reschedule", seconds=1) is False
    await engine.advance(hours=1)
    assert await ann.command("dig", process=id, action="resume") is True
    assert await ann.command("dig", process=id, action="resume") is False
    await engine.advance(seconds=39)
    assert ends(ann) == []
    await engine.advance(seconds=1)
    await ann.heard("process_completed")
    lifecycle = [push["event"] for push in ann.pushes() if push["event"].startswith("process_")]
    assert lifecycle == ["process_started", "process_paused", "process_resumed", "process_completed"]


async def test_a_rescheduled_process_is_due_at_its_new_time_only(engine: Engine) -> None:
    await engine.start()
    ann = await engine.connect("ann")
    id = (await ann.command("plant", text="tree", seconds=60))["process"]
    assert await ann.command("dig", process=id, action="reschedule", seconds=600) is True
    await engine.advance(minutes=5)
    assert ends(ann) == []
    await engine.advance(minutes=5)
    await ann.heard("process_completed")
    assert ends(ann) == ["process_completed"]
    (moved,) = ann.pushes("process_rescheduled")
    assert moved["data"]["due_at"] == "2030-01-01T00:10:00.000000Z"


async def test_a_process_of_another_key_cannot_be_touched(engine: Engine) -> None:
    await engine.start()
    ann = await engine.connect("ann")
    id = (await ann.command("plant", text="tree", seconds=60, bed="mine"))["process"]
    for action in ("cancel", "pause", "resume", "reschedule"):
        assert await ann.command("dig", process=id, bed="yours", action=action) is False


async def test_starting_what_is_unique_twice_is_starting_it_once(engine: Engine) -> None:
    await engine.start()
    ann = await engine.connect("ann")
    first = await ann.command("plant", text="tree", seconds=60, unique="the only one")
    assert await ann.command("plant", text="another", seconds=5, unique="the only one") == first
    elsewhere = await ann.command("plant", text="tree", seconds=60, unique="the only one", bed="elsewhere")
    assert elsewhere["process"] != first["process"]
    await engine.advance(minutes=1)
    await ann.heard("process_completed", 2)
    again = await ann.command("plant", text="tree", seconds=60, unique="the only one")
    assert again["process"] != first["process"]


async def test_unique_work_can_start_itself_again_when_it_completes(engine: Engine) -> None:
    await engine.start()
    ann = await engine.connect("ann")
    await ann.command("plant", text="tree", seconds=60, unique="daily", keep="daily")
    for hours in range(3):
        await engine.advance(hours=1)
        await ann.heard("process_completed", hours + 1)
    assert [row.text for row in engine.rows(garden.notes)] == ["tree", "tree+", "tree++"]
    assert [row.unique_name for row in engine.rows(tables.process)] == ["daily"]
