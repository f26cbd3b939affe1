"""The Python client against a real server: commands, pushes, views, and every way to lose a connection."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import starwire
from starwire.client import AuthError, Client, CommandError, Push, guest, login, logout, refresh, register
from starwire.server import Server
from tests.support.orchard import Plant, orchard
from tests.support.serving import Cable, serving


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reconnect soon, so that the tests need not wait."""
    monkeypatch.setattr("starwire.client.link.backoff", lambda attempt, source: 0.01)


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    async with serving(orchard(), tmp_path) as running:
        yield running


@pytest.fixture
async def client(server: Server) -> AsyncIterator[Client]:
    async with Client(server.url, tokens=await guest(server.url)) as connected:
        yield connected


async def test_a_command_is_answered_and_its_process_completes_by_itself(client: Client) -> None:
    started = await client.command("plant", milliseconds=5)
    push = await client.wait_for("ripe")
    assert push.data == {"apples": 3}
    assert push.stream == f"player:{client.player}"
    completed = await client.wait_for(
        "process_completed", lambda each: each.data["process"] == started["process"]
    )
    assert isinstance(completed.at, datetime)


async def test_a_struct_is_sent_under_its_wire_name(client: Client) -> None:
    assert (await client.command(Plant(milliseconds=50_000)))["process"]


async def test_a_refusal_carries_everything_that_the_server_said(client: Client) -> None:
    with pytest.raises(CommandError) as caught:
        await client.command("plant", milliseconds=-1)
    error = caught.value
    assert (error.code, error.reason, error.message) == ("rejected", "too_fast", "A tree needs some time.")
    assert (error.details, error.retry, error.command) == ({"need": 0}, False, "plant")


@pytest.mark.parametrize(
    ("name", "args", "code"),
    [
        ("dance", {}, "unknown_command"),
        ("plant", {"milliseconds": "soon"}, "invalid_args"),
        ("break", {}, "internal"),
    ],
)
async def test_every_other_refusal_has_its_code(
    client: Client, name: str, args: dict[str, Any], code: str
) -> None:
    with pytest.raises(CommandError) as caught:
        await client.command(name, **args)
    assert caught.value.code == code
    assert "secret" not in str(caught.value)


async def test_a_view_gives_its_result_and_the_positions_it_asked_for(client: Client) -> None:
    await client.command("shout", text="ho")
    view = await client.view("meadow")
    assert (view.result, view.positions) == (1, {"meadow": 1})


async def test_many_commands_at_once_are_answered_each_and_in_order(client: Client) -> None:
    results = await asyncio.gather(*(client.command("pick") for _ in range(100)))
    assert results == list(range(1, 101))


async def test_what_arrives_is_heard_by_name_by_star_and_by_reading(client: Client) -> None:
    by_name: list[str] = []
    by_star: list[str] = []
    heard = asyncio.Event()

    async def listener(push: Push) -> None:
        by_name.append(push.event)
        heard.set()

    end = client.on("ripe", listener)
    client.on("*", lambda push: by_star.append(push.event))
    pushes = client.pushes()
    await client.command("plant")
    read = [(await anext(pushes)).event for _ in range(3)]
    await heard.wait()
    assert sorted(read) == ["process_completed", "process_started", "ripe"]
    assert by_star == read
    assert by_name == ["ripe"]
    end()
    await client.command("plant")
    await client.wait_for("ripe")
    await client.wait_for("ripe")
    assert by_name == ["ripe"]


async def test_a_listener_that_raises_takes_nothing_from_the_others(client: Client) -> None:
    heard: list[int] = []

    def fails(push: Push) -> None:
        raise RuntimeError

    client.on("ripe", fails)
    client.on("ripe", lambda push: heard.append(push.offset))
    await client.command("plant")
    await client.wait_for("ripe")
    assert len(heard) == 1


async def test_waiting_in_vain_says_what_came_instead(client: Client) -> None:
    await client.command("plant", milliseconds=50_000)
    await client.wait_for("process_started")
    await client.command("plant", milliseconds=50_000)
    with pytest.raises(TimeoutError, match=r"no ripe within 0\.05 s.*process_started"):
        await client.wait_for("ripe", timeout=0.05)


async def test_the_server_tells_the_time(client: Client) -> None:
    assert abs((client.now() - datetime.now(UTC)).total_seconds()) < 1


async def test_a_stream_is_heard_from_its_grant_on(client: Client) -> None:
    await client.command("shout", text="before")
    await client.command("join")
    await client.wait_for("subscribed")
    await client.command("shout", text="after")
    push = await client.wait_for("shouted")
    assert (push.data, push.message) == ({"text": "after"}, "Somebody shouts: after")
    assert client.offsets["meadow"] == 2


# Losing the connection


async def test_a_cut_cable_loses_nothing_and_repeats_nothing(server: Server) -> None:
    async with (
        Cable.to(server) as cable,
        Client(cable.url, tokens=await guest(server.url)) as client,
        Client(server.url, tokens=await guest(server.url)) as other,
    ):
        await client.command("join")
        heard: list[int] = []
        client.on("shouted", lambda push: heard.append(push.offset))
        for number in range(5):
            await other.command("shout", text=str(number), times=3)
            cable.cut()
            assert await client.command("pick") == number + 1
        await other.command("shout", text="the last")
        await client.wait_for("shouted", lambda push: push.data["text"] == "the last")
        assert heard == list(range(1, 17))


async def test_a_command_whose_answer_was_lost_is_not_done_again(server: Server) -> None:
    async with Cable.to(server) as cable, Client(cable.url, tokens=await guest(server.url)) as client:
        async with Client(server.url, token=client._link.token) as same_player:
            cable.deaf = True
            waiting = asyncio.ensure_future(client.command("pick"))
            await same_player.wait_for("picked")
        cable.deaf = False
        cable.cut()
        assert await waiting == 1
        assert (await client.view("look")).result == 1
        assert cable.connections == 2


async def test_a_restarted_server_is_found_again_and_the_streams_go_on(tmp_path: Path) -> None:
    soon = starwire.Limits(reconnect_seconds=0.2)
    offsets: list[int] = []
    async with serving(orchard(), tmp_path, limits=soon) as server:
        port = server.port
        client = Client(server.url, tokens=await guest(server.url))
        client.on("*", lambda push: offsets.append(push.offset))
        await client.connect()
        await client.command("plant", milliseconds=300)
    waiting = asyncio.ensure_future(client.command("pick"))
    async with serving(orchard(), tmp_path, port=port):
        assert await waiting == 1
        assert (await client.wait_for("ripe")).data == {"apples": 3}
        await client.wait_for("process_completed")
        assert offsets == [1, 2, 3, 4]
        await client.close()


async def test_what_happened_while_nobody_was_connected_is_heard_on_return(server: Server) -> None:
    tokens = await guest(server.url)
    async with Client(server.url, tokens=tokens) as client:
        await client.command("plant", milliseconds=1)
        seen = (client.epoch, {f"player:{client.player}": 0})
    async with Client(server.url, tokens=tokens, resume=seen) as back:
        assert (await back.wait_for("ripe")).offset <= 3


async def test_another_database_resets_the_state(tmp_path: Path) -> None:
    soon = starwire.Limits(reconnect_seconds=0.2)
    async with serving(orchard(), tmp_path / "one", limits=soon) as server:
        port = server.port
        tokens = await guest(server.url)
        client = Client(server.url, tokens=tokens)
        await client.connect()
        read: list[int] = []
        await client.command("shout", text="ho")
        live = await client.state("meadow", read=read.append, apply=lambda push: None)
        epoch = client.epoch
    async with serving(orchard(), tmp_path / "two", port=port) as server:
        await client._running if client._running else None  # the token is another secret's, so it ends
        with pytest.raises(CommandError, match="closed"):
            await client.command("pick")
        fresh = Client(server.url, tokens=await guest(server.url), resume=(epoch, {"player:1": 7}))
        async with fresh:
            assert fresh.epoch != epoch
            assert fresh.offsets["player:1"] == 0
    live.close()
    await client.close()
    assert read == [1]


# States


async def test_a_state_is_read_once_and_then_follows_its_stream(client: Client) -> None:
    await client.command("join")
    await client.command("shout", text="one")
    total, readings = 0, 0

    def read(result: int) -> None:
        nonlocal total, readings
        total, readings = result, readings + 1

    def apply(push: Push) -> None:
        nonlocal total
        total += push.event == "shouted"

    state = await client.state("meadow", read=read, apply=apply)
    assert (total, readings) == (1, 1)
    await client.command("shout", text="two", times=40)
    await client.wait_for("shouted", lambda push: push.offset == 41)
    assert (total, readings) == (41, 1)
    state.close()
    await client.command("shout", text="three")
    await client.wait_for("shouted", lambda push: push.offset == 42)
    assert total == 41


async def test_a_state_stays_true_over_a_cut_cable(server: Server) -> None:
    total = 0

    def read(result: int) -> None:
        nonlocal total
        total = result

    def apply(push: Push) -> None:
        nonlocal total
        total += push.event == "shouted"

    async with (
        Cable.to(server) as cable,
        Client(cable.url, tokens=await guest(server.url)) as client,
        Client(server.url, tokens=await guest(server.url)) as other,
    ):
        await client.command("join")
        await client.state("meadow", read=read, apply=apply)
        for number in range(1, 6):
            cable.cut()
            await other.command("shout", text="ho", times=10)
            await client.wait_for("shouted", lambda push, last=number * 10: push.offset == last)  # type: ignore[misc]
            assert total == number * 10


async def test_a_state_that_is_refused_raises(client: Client) -> None:
    with pytest.raises(CommandError, match="unknown_command"):
        await client.state("dance", read=print, apply=print)


# Tokens


async def test_accounts_are_made_and_used_from_python(server: Server) -> None:
    first = await guest(server.url)
    named = await register(server.url, "Ada", "lovelace-1843", access_token=first["access_token"])
    assert (named["player"], named["name"]) == (first["player"], "Ada")
    again = await refresh(server.url, (await login(server.url, "ada", "lovelace-1843"))["refresh_token"])
    assert again["player"] == first["player"]
    with pytest.raises(AuthError, match="password is wrong") as caught:
        await login(server.url, "ada", "lovelace-1844")
    assert (caught.value.status, caught.value.final) == (401, True)


async def test_signing_out_closes_the_connection_for_good(server: Server) -> None:
    tokens = await guest(server.url)
    async with Client(server.url, tokens=tokens) as client:
        waiting = asyncio.ensure_future(client.wait_for("ripe"))
        await logout(server.url, tokens["refresh_token"])
        with pytest.raises(CommandError, match="closed"):
            await waiting
        with pytest.raises(CommandError, match="4403"):
            await client.command("pick")


async def test_a_bad_token_is_refused_at_once(server: Server) -> None:
    with pytest.raises(AuthError, match="unauthorized"):
        async with Client(server.url, token="nonsense"):
            pass


async def test_a_token_that_was_refused_is_asked_for_anew(server: Server) -> None:
    given = iter(["nonsense", (await guest(server.url))["access_token"]])

    async def source() -> str:
        return str(next(given))

    async with Client(server.url, tokens=source) as client:
        assert await client.command("pick") == 1


async def test_short_lived_tokens_are_renewed_on_the_open_connection(tmp_path: Path) -> None:
    limits = starwire.Limits(access_seconds=8, token_warning_seconds=7.5)
    async with serving(orchard(), tmp_path, limits=limits) as server, Cable.to(server) as cable:
        tokens = await guest(server.url)
        renewed = asyncio.Event()

        async def source() -> dict[str, Any]:
            nonlocal tokens
            if cable.connections:
                tokens = await refresh(server.url, tokens["refresh_token"])
                renewed.set()
            return tokens

        async with Client(cable.url, tokens=source) as client:
            await renewed.wait()
            assert await client.command("pick") == 1
            assert cable.connections == 1


@pytest.mark.parametrize(
    "limits",
    [
        starwire.Limits(token_warning_seconds=900),  # the server warns at each look
        starwire.Limits(access_seconds=2, token_warning_seconds=0.001),  # it warns too late
    ],
    ids=["when the server warns", "before it needs to"],
)
async def test_one_renewal_follows_another_on_the_same_connection(
    tmp_path: Path, limits: starwire.Limits, monkeypatch: pytest.MonkeyPatch
) -> None:
    used: list[str] = []
    enough = asyncio.Event()

    async def counted(base: str, refresh_token: str) -> dict[str, Any]:
        used.append(refresh_token)
        if len(used) == 3:
            enough.set()
        return await refresh(base, refresh_token)

    async with serving(orchard(), tmp_path, limits=limits) as server:
        tokens = await guest(server.url)
        monkeypatch.setattr("starwire.client.accounts.refresh", counted)
        async with Client(server.url, tokens=tokens) as client:
            hello = client.welcome
            await enough.wait()
            assert await client.command("pick") == 1
            assert client.welcome is hello, "it was never lost"
            assert len(set(used)) == 3


async def test_no_server_at_all_is_said_in_time() -> None:
    with pytest.raises(TimeoutError, match=r"no connection within 0\.2 s"):
        async with Client("http://127.0.0.1:1", token="x", connect_timeout=0.2):
            pass
    with pytest.raises(AuthError, match="could not be reached"):
        await guest("http://127.0.0.1:1")
