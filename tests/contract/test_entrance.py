"""Guarantee 10: nobody gets in; and who is in, is put out when its time has come."""

import asyncio
import json

import pytest
from websockets.exceptions import InvalidStatus
from websockets.typing import Origin, Subprotocol

from starwire.system import RevokeSession
from tests.contract.harness import Client, Engine

HOUR = 3_600_000_000


async def hello(client: Client, token: str) -> dict[str, object]:
    return await client.reply(await client.order("hello", token=token))


async def left_with(client: Client) -> int:
    return (await client.told_to_leave())[0]


async def test_who_says_nothing_is_closed_after_the_deadline_and_not_before(engine: Engine) -> None:
    await engine.start(hello_seconds=5.0)
    silent = await engine.open()
    await engine.advance(seconds=5)
    assert silent.closed is None
    await engine.advance(milliseconds=1)
    assert await left_with(silent) == 4408


async def test_talking_without_hello_does_not_move_the_deadline(engine: Engine) -> None:
    await engine.start(hello_seconds=5.0)
    talker = await engine.open()
    await engine.advance(seconds=4)
    assert (await talker.refused("ping"))["code"] == "unauthorized"
    await engine.advance(seconds=2)
    assert await left_with(talker) == 4408


@pytest.mark.parametrize(
    ("token", "code"), [("nobody", 4401), ("", 4401), ("revoked", 4403), ("x" * 129, 4403)]
)
async def test_a_token_that_is_refused_is_answered_and_closed(engine: Engine, token: str, code: int) -> None:
    await engine.start()
    client = await engine.open()
    await client.order("hello", id="h", token=token)
    assert await left_with(client) == code
    if len(token) < 100:
        (reply,) = client.replies("h")
        assert reply["error"]["code"] == "unauthorized"


async def test_commands_sent_after_a_refused_hello_do_nothing(engine: Engine) -> None:
    await engine.start()
    client = await engine.open()
    await client.order("hello", token="nobody")
    await client.order("note", id="n", text="sneaked in")
    await left_with(client)
    assert client.replies("n") == []
    ann = await engine.connect("ann")
    assert await ann.command("journal") == []


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://127.0.0.1", "https://127.0.0.1:{port}", "file://"]
)
async def test_a_foreign_origin_is_refused_with_403(engine: Engine, origin: str) -> None:
    await engine.start()
    with pytest.raises(InvalidStatus) as refused:
        await engine.open(origin=Origin(origin.format(port=engine.port)))
    assert refused.value.response.status_code == 403


async def test_the_pages_own_origin_and_programs_without_one_come_in(engine: Engine) -> None:
    await engine.start()
    page = await engine.open(origin=Origin(f"http://127.0.0.1:{engine.port}"))
    assert (await hello(page, "ann"))["ok"]
    assert (await engine.connect("bob")).closed is None


async def test_the_subprotocol_is_ours_or_none(engine: Engine) -> None:
    await engine.start()
    ours = await engine.open(subprotocols=[Subprotocol("other"), Subprotocol("starwire.v1")])
    none = await engine.open(subprotocols=None)
    assert (ours.socket.subprotocol, none.socket.subprotocol) == ("starwire.v1", None)
    for client in (ours, none):
        assert (await hello(client, "ann"))["ok"]


async def test_another_path_is_not_found(engine: Engine) -> None:
    await engine.start()
    with pytest.raises(InvalidStatus) as refused:
        await engine.open(path="/socket")
    assert refused.value.response.status_code == 404


async def test_headers_that_are_too_large_are_refused(engine: Engine) -> None:
    await engine.start(header_bytes=2000)
    with pytest.raises(InvalidStatus) as refused:
        await engine.open(additional_headers={"X-Large": "x" * 3000})
    assert refused.value.response.status_code == 431


@pytest.mark.parametrize("fragmented", [False, True])
async def test_a_frame_that_is_too_large_is_closed_with_1009(engine: Engine, fragmented: bool) -> None:
    await engine.start(frame_bytes=1000)
    ann = await engine.connect("ann")
    await ann.send(json.dumps({"command": "ping", "args": {"t": "x" * 900}}))
    await ann.reply(None)
    large = "x" * 1001
    await ann.socket.send([large[:500], large[500:]] if fragmented else large)
    assert await left_with(ann) == 1009


async def test_text_that_is_not_utf_8_is_closed_with_1007(engine: Engine) -> None:
    await engine.start()
    ann = await engine.connect("ann")
    await ann.socket.send(b"\xff\xfe", text=True)
    assert await left_with(ann) == 1007


async def test_a_token_that_runs_out_is_told_before_and_closed_after(engine: Engine) -> None:
    await engine.start(token_warning_seconds=60.0, ping_seconds=20.0)
    ann = await engine.connect(f"ann;expires={engine.clock.now() + HOUR}")
    await engine.advance(minutes=58)
    await ann.command("ping")
    assert ann.of_type("status") == []
    await engine.advance(minutes=1)
    assert await ann.told("status") == {"type": "status", "token_expires_in": 60.0}
    await engine.advance(seconds=59)
    await ann.command("ping")
    assert len(ann.of_type("status")) == 1, "told once"
    await engine.advance(seconds=1)
    assert await left_with(ann) == 4401


async def test_a_refreshed_token_keeps_the_connection_and_its_streams(engine: Engine) -> None:
    await engine.start()
    ann = await engine.connect(f"ann;expires={engine.clock.now() + HOUR}")
    await engine.advance(minutes=59)
    result = await ann.command("refresh", token=f"ann;expires={engine.clock.now() + 2 * HOUR}")
    assert result == {"expires_at": "2030-01-01T02:59:00.000000Z"}
    await engine.advance(minutes=61)
    await ann.command("note", text="still here")
    await ann.heard("noted")
    await engine.advance(minutes=59)
    assert await left_with(ann) == 4401


@pytest.mark.parametrize("token", ["nobody", "bob", "revoked"])
async def test_a_refresh_that_is_refused_changes_nothing(engine: Engine, token: str) -> None:
    await engine.start()
    ann = await engine.connect(f"ann;expires={engine.clock.now() + HOUR}")
    assert (await ann.refused("refresh", token=token))["code"] == "unauthorized"
    await ann.command("note", text="still ann")
    assert (await ann.heard("noted"))[0]["stream"] == "player:ann"
    await engine.advance(hours=1)
    assert await left_with(ann) == 4401


async def test_a_revoked_session_is_closed_at_once_on_every_connection(engine: Engine) -> None:
    await engine.start()
    here, there = [await engine.connect("ann;session=s1") for _ in range(2)]
    other_device, bob = await engine.connect("ann;session=s2"), await engine.connect("bob;session=s1")
    await engine.submit("ann", RevokeSession("s1"))
    assert await left_with(here) == 4403
    assert await left_with(there) == 4403
    await other_device.command("ping")
    await bob.command("ping")


async def test_claims_open_commands_and_nothing_else_does(engine: Engine) -> None:
    await engine.start()
    ann, chief = await engine.connect("ann"), await engine.connect("chief;operator=1")
    assert (await ann.refused("secret"))["code"] == "unauthorized"
    assert (await ann.refused("announce", text="I am the chief"))["code"] == "unauthorized"
    assert await chief.command("secret") == "told"
    await chief.command("announce", text="Maintenance at noon")
    (push,) = await ann.heard("announcement")
    assert (push["stream"], push["message"]) == ("all", "Maintenance at noon")


@pytest.mark.parametrize("command", ["revoke_session", "heartbeat", "nothing_like_it", "ripen"])
async def test_the_servers_own_commands_do_not_exist_for_clients(engine: Engine, command: str) -> None:
    await engine.start()
    chief = await engine.connect("chief;operator=1")
    error = await chief.refused(command, session="s", gateway="g")
    assert (error["code"], error["retry"]) == ("unknown_command", False)


async def test_a_player_has_so_many_connections_and_no_more(engine: Engine) -> None:
    await engine.start(connections_per_player=3)
    held = [await engine.connect("ann") for _ in range(3)]
    fourth = await engine.open()
    await fourth.order("hello", token="ann")
    assert await left_with(fourth) == 4429
    await engine.connect("bob")
    await held[0].leave()
    await engine.connect("ann")


async def test_hellos_at_once_do_not_pass_the_bound(engine: Engine) -> None:
    await engine.start(connections_per_player=3)
    clients = await asyncio.gather(*(engine.open() for _ in range(12)))
    await asyncio.gather(*(client.order("hello", token="ann") for client in clients))
    for client in clients:
        await client.until(lambda client=client: client.closed or client.frames, "an answer")  # type: ignore[misc]
    welcome = [client for client in clients if client.frames and client.frames[0]["ok"]]
    assert len(welcome) == 3


async def test_an_address_has_so_many_connections_and_no_more(engine: Engine) -> None:
    await engine.start(connections_per_address=2)
    held = [await engine.connect("ann"), await engine.connect("bob")]
    third = await engine.open()
    assert await left_with(third) == 4429
    await held[0].leave()
    await engine.connect("cid")


async def test_so_many_may_stand_at_the_door_and_no_more(engine: Engine) -> None:
    await engine.start(unauthenticated=2)
    await engine.connect("ann")
    waiting = [await engine.open() for _ in range(2)]
    third = await engine.open()
    assert await left_with(third) == 4429
    await hello(waiting[0], "bob")
    fourth = await engine.open()
    assert (await hello(fourth, "cid"))["ok"]
