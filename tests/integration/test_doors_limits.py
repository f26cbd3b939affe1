"""Every bound of the doors at its edge and one past it, over real sockets.

Those of the hello deadline, of a player's connections and of how many may stand at the door are among the
guarantees: ``tests/contract/test_entrance.py``. Names and passwords: ``test_accounts.py``.
"""

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed

import starwire
from starwire.errors import ConfigurationError, Refused
from starwire.gateway.session import Session
from starwire.limits import Limits
from starwire.transaction import Transaction
from tests.contract import garden
from tests.contract.harness import Client, Gate, eventually
from tests.hostile.wire import order, text_frame
from tests.support.line import Street, open_street


@pytest.fixture
async def street(tmp_path: Path) -> AsyncIterator[Street]:
    async with open_street(tmp_path) as made:
        yield made


def ping_of(size: int) -> str:
    """A ping of so many bytes."""
    empty = json.dumps({"id": "p", "command": "ping", "args": {"t": ""}})
    return empty.replace('""', json.dumps("x" * (size - len(empty))))


# Frames


async def test_a_frame_may_have_so_many_bytes_and_not_one_more(street: Street) -> None:
    await street.begin(limits={"frame_bytes": 1000})
    ann = await street.connect("ann")
    await ann.send(ping_of(1000))
    assert (await ann.reply("p"))["ok"]
    await ann.send(ping_of(1001))
    assert (await ann.told_to_leave())[0] == 1009


async def test_so_many_frames_may_come_at_once_and_the_next_when_it_was_told(street: Street) -> None:
    await street.begin(limits={"commands_burst": 5, "commands_per_second": 2.0})
    ann = await street.connect("ann")  # hello is the first
    for _ in range(4):
        await ann.command("ping")
    error = await ann.refused("ping")
    assert (error["code"], error["retry"], error["retry_after"]) == ("rate_limited", True, 0.5)
    await street.advance(milliseconds=499)
    assert (await ann.refused("ping"))["code"] == "rate_limited"
    await street.advance(milliseconds=1)
    await ann.command("ping")
    assert (await ann.refused("ping"))["code"] == "rate_limited"


async def test_so_many_commands_may_wait_for_their_replies_and_the_next_when_one_has_it(
    street: Street, tmp_path: Path
) -> None:
    await street.begin(limits={"commands_in_flight": 3})
    ann, gate = await street.connect("ann"), Gate(tmp_path, 0)
    waiting = [await ann.order("note", text="waits", gate=str(gate)) for _ in range(3)]
    error = await ann.refused("note", text="one too many")
    assert (error["code"], error["retry"]) == ("rate_limited", True)
    gate.open()
    for id in waiting:
        assert (await ann.reply(id))["ok"]
    await ann.command("note", text="again")


async def test_who_sends_much_at_once_is_heard_in_turn_with_the_others(
    street: Street, monkeypatch: pytest.MonkeyPatch
) -> None:
    await street.begin()
    loud, quiet = await street.connect("loud"), await street.connect("quiet")
    heard: Counter[str | None] = Counter()
    text = Session.text

    def counted(session: Session, frame: str) -> None:
        heard[session.player] += 1
        text(session, frame)

    monkeypatch.setattr(Session, "text", counted)
    ids = [str(number) for number in range(5_000)]
    loud.socket.transport.write(b"".join(text_frame(order("ping", id)) for id in ids))
    for _ in range(3):
        await quiet.command("ping")
    assert 0 < heard["loud"] < len(ids), "nobody else was heard before all of it was"
    await eventually(lambda: loud.replies(ids[-1]), "the last answer")
    answered = [frame["id"] for frame in loud.frames if frame.get("command") == "ping"]
    assert answered == ids, "each is answered, in order"


@pytest.mark.parametrize(("over", "kept"), [(0, 2), (1, 1)])
async def test_what_is_sent_before_hello_is_answered_waits_up_to_so_many_bytes(
    street: Street, over: int, kept: int
) -> None:
    let_in = asyncio.Event()
    frames = [json.dumps({"id": id, "command": "ping", "args": {}}) for id in ("a", "b", "c")]
    await street.begin(talker(let_in), limits={"greeting_bytes": 2 * len(frames[0]) - over})
    ann = await street.open()
    for text in (json.dumps({"id": "h", "command": "hello", "args": {"token": "ann"}}), *frames):
        await ann.send(text)
    refused = (await ann.reply("c"))["error"]
    assert (refused["code"], refused["retry"]) == ("rate_limited", True)
    assert ann.closed is None
    let_in.set()
    assert (await ann.reply("h"))["ok"]
    assert [(await ann.reply(id))["ok"] for id in ("a", "b")] == [True] * kept + [False] * (2 - kept)
    assert (await ann.command("ping"))["t"] is None


# Connections


async def turned_away(client: Client) -> bool:
    """Whether a new socket is closed with 4429; otherwise it is let stand."""
    with contextlib.suppress(ConnectionClosed):
        await client.send(json.dumps({"id": "there?", "command": "ping"}))
    await client.until(lambda: client.closed or client.replies("there?"), "a word of the server")
    assert client.closed is None or client.closed[0] == 4429
    return client.closed is not None


async def test_a_gateway_has_so_many_sockets_and_no_more(street: Street) -> None:
    await street.begin(limits={"connections": 3})
    held = [await street.connect(name) for name in ("ann", "bob", "cid")]
    assert await turned_away(await street.open())
    await held[0].leave()
    assert not await turned_away(await street.open())
    await held[1].command("ping")


async def test_one_address_does_not_fill_the_door(street: Street) -> None:
    await street.begin(
        trusted_proxies=("127.0.0.1/32",), limits={"unauthenticated": 4, "unauthenticated_per_address": 2}
    )
    here, there = ({"X-Forwarded-For": address} for address in ("192.0.2.1", "192.0.2.2"))
    squatters = [await street.open(additional_headers=here) for _ in range(2)]
    assert await turned_away(await street.open(additional_headers=here))
    assert not await turned_away(await street.open(additional_headers=there))
    assert (await squatters[0].command("hello", token="ann"))["player"] == "ann"
    assert not await turned_away(await street.open(additional_headers=here))


ONE, OTHER = "192.0.2.1", "192.0.2.2"


@pytest.mark.parametrize(
    ("trusted", "first", "second", "same"),
    [
        ((), ONE, OTHER, True),  # not believed: both come from 127.0.0.1
        (("127.0.0.1/32",), ONE, OTHER, False),
        (("127.0.0.1/32",), ONE, ONE, True),
        (("127.0.0.1/32",), f"{ONE}, {OTHER}", OTHER, True),  # what a client writes itself stands first
        (("127.0.0.1/32", "10.0.0.0/8"), f"{ONE}, 10.0.0.1", ONE, True),  # a proxy behind a proxy
        (("127.0.0.1/32",), f"{ONE}:5000", f"{ONE}:5001", True),
        (("127.0.0.1/32",), "2001:db8::1", "2001:db8::ffff:2", True),  # one customer's
        (("127.0.0.1/32",), "2001:db8::1", "2001:db8:0:1::1", False),
        (("127.0.0.1/32",), "nonsense", "nonsense", True),
        (("10.0.0.0/8",), ONE, OTHER, True),
    ],
)
async def test_an_address_has_so_many_sockets_whoever_stands_between(
    street: Street, trusted: tuple[str, ...], first: str, second: str, same: bool
) -> None:
    await street.begin(trusted_proxies=trusted, limits={"connections_per_address": 1})
    held = await street.open(additional_headers={"X-Forwarded-For": first})
    assert not await turned_away(held)
    another = await street.open(additional_headers={"X-Forwarded-For": second})
    assert await turned_away(another) is same
    await held.leave()
    await eventually(lambda: held.closed, "the end")
    assert not await turned_away(await street.open(additional_headers={"X-Forwarded-For": first}))


# What is told


class Tell(starwire.Command, frozen=True):
    letters: int


class Wait(starwire.Command, frozen=True):
    letters: int


class Told(starwire.Event, frozen=True):
    text: str


class Later(starwire.Process, frozen=True):
    public = ("text",)

    text: str


class Much(starwire.View, frozen=True):
    """A lot to read."""


def talker(let_in: asyncio.Event) -> starwire.App:
    async def authenticate(token: str) -> starwire.Identity:
        await let_in.wait()
        return starwire.Identity(token)

    app = starwire.App("talker", auth=authenticate)

    @app.command
    def tell(tx: Transaction, player: str, order: Tell) -> None:
        tx.publish(f"player:{player}", Told("x" * order.letters), message="hm")

    @app.command
    def wait(tx: Transaction, player: str, order: Wait) -> None:
        tx.start(Later("x" * order.letters), owner=player, due=timedelta(days=1))

    @app.process
    def later(tx: Transaction, job: Later) -> None:
        """Nothing."""

    @app.view
    def much(read: starwire.Read, player: str, ask: Much) -> str:
        return "x" * 900_000

    return app


@pytest.mark.parametrize(
    ("command", "around"), [("tell", len('{"text":""}hm')), ("wait", len('{"text":""}'))]
)
async def test_an_event_has_so_many_bytes_and_a_handler_that_publishes_more_fails(
    street: Street, command: str, around: int, capfd: pytest.CaptureFixture[str]
) -> None:
    let_in = asyncio.Event()
    let_in.set()
    await street.begin(talker(let_in), limits={"event_bytes": 1000})
    ann = await street.connect("ann")
    await ann.command(command, letters=1000 - around)
    error = await ann.refused(command, letters=1000 - around + 1)
    assert (error["code"], error["retry"]) == ("internal", False)
    (push,) = await ann.heard("told" if command == "tell" else "process_started")
    assert push["offset"] == 1
    logged = " ".join("".join(capfd.readouterr()).split())
    assert "1001 bytes; the limit event_bytes is 1000" in logged


async def ask_much(street: Street, unsent_bytes: int) -> tuple[Client, list[str]]:
    """A client that reads nothing and has asked for 18 MB before it was let in; and what it has asked."""
    let_in = asyncio.Event()
    await street.begin(talker(let_in), limits={"unsent_bytes": unsent_bytes})
    idle = await street.open(reading=False, player="ann")
    ids = [await idle.order("hello", token="ann"), *[await idle.order("much") for _ in range(20)]]
    (session,) = street.server.hub.sessions
    await eventually(lambda: len(session.connection._waiting) == 20, "what is asked")
    let_in.set()
    return idle, ids


async def test_who_asks_for_more_than_it_reads_is_put_out_and_the_server_keeps_a_bound(
    street: Street,
) -> None:
    await ask_much(street, 2_000_000)
    most = 0

    def is_out() -> bool:
        nonlocal most
        most = max(most, street.buffered("ann"))
        return not street.server.hub.sessions

    await eventually(is_out, "the end of who does not read")
    assert most <= 2_000_000
    await (await street.connect("bob")).command("ping")


async def test_replies_within_the_bound_are_kept_for_a_reader_that_is_slow(street: Street) -> None:
    slow, ids = await ask_much(street, 20_000_000)
    await eventually(lambda: street.buffered("ann") > 5_000_000, "replies that wait")
    slow.read()
    for id in ids:
        assert (await slow.reply(id))["ok"]


async def test_who_reads_its_replies_slowly_but_steadily_gets_them_all(street: Street) -> None:
    slow, _ = await ask_much(street, 20_000_000)
    await eventually(lambda: street.buffered("ann") > 10_000_000, "replies that wait")
    for _ in range(4):  # half a minute each, and something is taken in each
        size = street.buffered("ann")
        while street.buffered("ann") > size - 50_000:
            await slow.socket.recv()
        await street.advance(seconds=29)
        assert street.server.hub.sessions, "it was put out"
    for _ in range(3):  # what the kernels had still taken was seen in the first
        await street.advance(seconds=31)
    await eventually(lambda: not street.server.hub.sessions, "the end of who takes nothing any more")


# From the server's own side


async def test_a_refusal_for_the_servers_own_command_says_when_to_come_again(
    street: Street, tmp_path: Path
) -> None:
    await street.begin(limits={"key_due": 3, "batch_due": 4, "overloaded_seconds": 1.5})
    ann, gate = await street.connect("ann"), Gate(tmp_path, 0)
    await ann.command("plant", text="t", seconds=60, count=20, bed="busy")
    await ann.order("note", text="holds the writer", bed="other", gate=str(gate))
    await gate.reached()
    street.clock.set(street.clock.now() + 120_000_000)
    submitted = asyncio.ensure_future(street.submit("ann", garden.Note("here", bed="busy")))
    await eventually(lambda: street.server.engine._waiting, "the command in the queue")  # type: ignore[attr-defined]
    gate.open()
    with pytest.raises(Refused) as refused:
        await submitted
    assert (refused.value.code, refused.value.retry_after) == ("overloaded", 1.5)


# Bounds that depend on each other


def test_replies_that_fit_are_never_past_the_bound_of_what_is_unsent() -> None:
    Limits(result_bytes=1000, write_high_bytes=900, write_low_bytes=1, unsent_bytes=1900)
    with pytest.raises(ConfigurationError, match="unsent_bytes"):
        Limits(result_bytes=1000, write_high_bytes=900, write_low_bytes=1, unsent_bytes=1899)
