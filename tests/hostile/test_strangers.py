"""What belongs to somebody else: streams, ids, commands of the framework, pages."""

import pytest

from starwire.client import guest
from tests.hostile.wire import Wire, order, request
from tests.support.server import ServerProcess


@pytest.fixture
async def victim(server: ServerProcess) -> dict[str, str]:
    """A player with a room of their own, in which something was told."""
    account = dict(await guest(server.url))
    player = account["player"]
    async with Wire.greeted(server.port, account["access_token"]) as wire:
        room = int(player) + 1000
        assert (await wire.ask("enter", "e", room=room))["ok"]
        assert (await wire.ask("tell", "t", mark="secret", room=room))["ok"]
        assert (await wire.ask("write", "w", mark="secret", seconds=3600))["ok"]
    return {**account, "stream": f"player:{player}", "room": f"room:{room}"}


async def test_a_stream_of_somebody_else_is_left_out_of_hello_and_never_heard(
    server: ServerProcess, token: str, victim: dict[str, str]
) -> None:
    streams = [
        victim["stream"], victim["room"], "player:*", "room:*", "*", "", "all ", "ALL", "player:", "%",
        "player:-1", f" {victim['stream']}", f"../{victim['stream']}", "starwire:beats", "x" * 10_000, "💥",
    ]  # fmt: skip
    resumed = {"all": 0, **dict.fromkeys(streams, 0)}
    for offset in (0, 1, -1, 2**70):
        async with Wire.open(server.port) as wire:
            hello = await wire.ask("hello", "h", token=token, resume={**resumed, victim["stream"]: offset})
            own = f"player:{hello['result']['player']}"
            assert set(hello["result"]["streams"]) == {own, "all"}
            await noise(server, victim)
            count = await wire.ask("count", "c")
            assert set(count["positions"]) <= {own, "all"}
            assert {push["stream"] for push in wire.pushes} <= {own, "all"}


async def noise(server: ServerProcess, victim: dict[str, str]) -> None:
    """The victim does something that its streams tell."""
    async with Wire.greeted(server.port, victim["access_token"]) as wire:
        mark = wire.replies[0]["result"]["server_time"]
        await wire.ask("write", mark, mark=mark)
        await wire.ask("tell", f"{mark}!", mark=mark, room=int(victim["room"].partition(":")[2]))


@pytest.mark.parametrize(
    "resume",
    [[], "player:1", 1, {"all": "1"}, {"all": None}, {"all": 1.5}, {"all": [1]}],
    ids=str,
)
async def test_a_resume_of_another_shape_is_an_invalid_argument(
    server: ServerProcess, token: str, resume: object
) -> None:
    async with Wire.open(server.port) as wire:
        reply = await wire.ask("hello", "h", token=token, resume=resume)
        assert reply["error"]["code"] == "invalid_args"
        assert (await wire.ask("hello", "again", token=token))["ok"]


async def test_more_streams_than_may_be_resumed_are_too_large(server: ServerProcess, token: str) -> None:
    many = {f"room:{number}": 0 for number in range(257)}
    async with Wire.open(server.port) as wire:
        assert (await wire.ask("hello", "h", token=token, resume=many))["error"]["code"] == "too_large"
        many.popitem()
        assert (await wire.ask("hello", "again", token=token, resume=many))["ok"]


async def test_another_epoch_gets_a_resync_and_not_a_part(server: ServerProcess, token: str) -> None:
    async with Wire.greeted(server.port, token) as wire:
        await wire.ask("write", "w", mark="once")
        player = wire.replies[0]["result"]["player"]
    async with Wire.open(server.port) as wire:
        hello = await wire.ask("hello", "h", token=token, epoch="elsewhere", resume={f"player:{player}": 0})
        assert hello["result"]["streams"][f"player:{player}"] == {"offset": 1, "recovered": False}
        resync = await wire.hear()
        assert resync == {"type": "resync", "stream": f"player:{player}", "offset": 1}


async def test_the_id_of_somebody_elses_command_is_as_good_as_any(
    server: ServerProcess, token: str, victim: dict[str, str]
) -> None:
    async with Wire.greeted(server.port, token) as thief:
        same = await thief.ask("write", "w", mark="mine")
        assert same["result"] == "mine", "somebody else's reply"
        assert (await thief.ask("count", "c"))["result"] == 1
    async with Wire.greeted(server.port, victim["access_token"]) as owner:
        again = await owner.ask("write", "w", mark="secret", seconds=3600)
        assert again["result"] == "secret"
        assert (await owner.ask("count", "c"))["result"] == 2


async def test_the_same_id_with_other_content_is_an_invalid_argument(
    server: ServerProcess, token: str
) -> None:
    async with Wire.greeted(server.port, token) as wire:
        assert (await wire.ask("write", "w", mark="a"))["ok"]
        for other in (
            order("write", "w", mark="b"),
            order("spoil", "w", mark="a"),
            order("enter", "w", room=1),
        ):
            assert await wire.code(other) == "invalid_args"
        assert await wire.code(order("write", "w", mark="a", seconds=None)) == "ok"
        assert (await wire.ask("count", "c"))["result"] == 1


async def test_processes_of_somebody_else_are_not_shown(
    server: ServerProcess, token: str, victim: dict[str, str]
) -> None:
    async with Wire.greeted(server.port, token) as wire:
        assert (await wire.ask("processes", "p", owner=victim["player"]))["result"]["processes"] == []
    async with Wire.greeted(server.port, victim["access_token"]) as wire:
        assert len((await wire.ask("processes", "p"))["result"]["processes"]) == 1


@pytest.mark.parametrize(
    ("command", "code"),
    [("announce", "unauthorized"), ("revoke_session", "unknown_command"), ("heartbeat", "unknown_command")],
)
async def test_commands_of_the_framework_are_not_for_players(
    server: ServerProcess, token: str, command: str, code: str
) -> None:
    async with Wire.greeted(server.port, token) as wire:
        reply = await wire.ask(command, "x", text="free dragons", session="s", gateway="g")
        assert reply["error"]["code"] == code


ORIGINS = [
    "https://evil.example", "null", "file://", "http://127.0.0.1", "https://127.0.0.1:{port}", "http://127.0.0.1:1",
    "http://localhost:{port}", "http://127.0.0.1:{port}.evil.example", "http://evil.example/127.0.0.1:{port}",
    "http://127.0.0.1:{port}@evil.example", "http://127.0.0.1:{port}, https://evil.example", "*", "",
    "chrome-extension://abc", "HTTP://127.0.0.1:{port}/", "http://127.0.0.1:{port}#", "javascript:alert(1)",
]  # fmt: skip


async def test_a_foreign_origin_is_refused_with_403(server: ServerProcess) -> None:
    wrong = {}
    for origin in ORIGINS:
        async with Wire.tcp(server.port) as wire:
            header = f"Origin: {origin.format(port=server.port)}"
            if (status := await wire.upgrade(request(server.port, header))) != 403:
                wrong[origin] = status
    assert not wrong
    async with Wire.open(server.port, f"Origin: http://127.0.0.1:{server.port}"):
        pass
