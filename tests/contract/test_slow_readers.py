"""Guarantee 6: slow clients are slow, nothing else."""

import json
from typing import Any

from tests.contract.harness import Client, Engine, eventually

OWN = "player:ann"
KILOBYTES = 16
EVENTS = 800  # 13 MB: more than the kernels of both sides take
BOUNDS: dict[str, Any] = {
    "write_high_bytes": 65_536,
    "write_low_bytes": 16_384,
    "recent_events": 16,
    "catch_up_events": 16,
    "commands_burst": 1000,
}


async def silent(engine: Engine, token: str = "ann") -> Client:
    """A client that says hello and then reads nothing."""
    client = await engine.open(player=token, reading=False)
    await client.send(json.dumps({"id": "h", "command": "hello", "args": {"token": token}}))
    assert json.loads(await client.socket.recv())["ok"]
    return client


async def shout_much(client: Client) -> None:
    for _ in range(EVENTS // 20):
        await client.command("shout", stream=OWN, count=20, size=KILOBYTES * 1024)


async def test_one_that_reads_nothing_costs_little_delays_nobody_and_loses_nothing(engine: Engine) -> None:
    await engine.start(**BOUNDS)
    quick, bob = await engine.connect("ann"), await engine.connect("bob")
    slow = await silent(engine)
    most = 0
    for _ in range(EVENTS // 20):
        await bob.command("shout", stream=OWN, count=20, size=KILOBYTES * 1024)
        most = max(most, engine.buffered("ann"))
    await quick.heard_up_to(OWN, EVENTS)
    assert quick.offsets(OWN) == list(range(1, EVENTS + 1))
    assert 0 < most <= BOUNDS["write_high_bytes"] + 2 * KILOBYTES * 1024, f"{most} bytes waited for it"
    slow.read()
    await slow.heard_up_to(OWN, EVENTS)
    assert slow.offsets(OWN) == list(range(1, EVENTS + 1))
    await slow.command("ping")


async def test_one_that_is_stalled_past_its_deadline_is_aborted_and_resumes_later(engine: Engine) -> None:
    await engine.start(**BOUNDS, stalled_seconds=30.0)
    bob, slow = await engine.connect("bob"), await silent(engine)
    await shout_much(bob)
    await eventually(lambda: engine.buffered("ann") > 0, "a full transport")
    await engine.advance(seconds=31)
    await eventually(lambda: engine.buffered("ann") == 0, "the abort")
    slow.read()
    assert (await slow.told_to_leave())[0] == 1006
    heard = slow.offsets(OWN)
    assert heard == list(range(1, len(heard) + 1))
    assert 0 < len(heard) < EVENTS
    back = await engine.connect("ann", resume={OWN: len(heard)}, epoch=None)
    await back.heard_up_to(OWN, EVENTS)
    assert back.offsets(OWN) == list(range(len(heard) + 1, EVENTS + 1))


async def test_a_slow_one_within_its_deadline_is_left_alone(engine: Engine) -> None:
    await engine.start(**BOUNDS, stalled_seconds=30.0)
    bob, slow = await engine.connect("bob"), await silent(engine)
    await shout_much(bob)
    await engine.advance(seconds=29)
    slow.read()
    await slow.heard_up_to(OWN, EVENTS)
    assert slow.closed is None


async def test_a_dead_peer_is_found_by_its_missing_pong(engine: Engine) -> None:
    await engine.start(ping_seconds=20.0, pong_seconds=20.0)
    ann, dead = await engine.connect("ann"), await engine.open(player="dead")
    await dead.command("hello", token="dead")
    dead.socket.transport.pause_reading()
    await engine.advance(seconds=21)
    pinged = len(ann.frames)
    assert (await ann.command("ping", t=1))["t"] == 1
    assert len(ann.frames) == pinged + 1
    await engine.advance(seconds=21)
    dead.socket.transport.resume_reading()
    assert (await dead.told_to_leave())[0] == 1006
    assert ann.closed is None
    await ann.command("ping")
