"""The doors, by literal bytes: who sends no whole request, or none of ours, is put out and leaves nothing."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

import starwire
from tests.contract.harness import eventually
from tests.support.line import UPGRADE, Street, open_street, small_socket

GET = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n"
LARGE = 12_000_000


@pytest.fixture
async def street(tmp_path: Path) -> AsyncIterator[Street]:
    async with open_street(tmp_path) as made:
        yield made


def shop() -> starwire.App:
    """An app with routes of its own: what was sent, and much to read."""

    async def echo(request: Request) -> Response:
        return PlainTextResponse(await request.body())

    async def large(_: Request) -> Response:
        return PlainTextResponse(b"x" * LARGE)

    routes = [Route("/echo", echo, methods=["POST"]), Route("/large", large)]
    return starwire.App("shop", routes=routes)


# A request has its time


HALVES = {
    "nothing": "",
    "line": "GET /ws HT",
    "header": f"{GET}X-Slow: a",
    "upgrade": f"GET /ws HTTP/1.1\r\nHost: localhost\r\n{UPGRADE}",
    "empty lines": "\r\n\r\n",
}


@pytest.mark.parametrize("half", HALVES)
async def test_half_a_request_has_its_time_and_no_more(street: Street, half: str) -> None:
    await street.begin(limits={"request_seconds": 10.0})
    async with street.line(HALVES[half]) as line:
        await street.took(1)
        await street.advance(seconds=10)
        (arrival,) = street.server.arrivals.waiting
        assert not arrival.transport.is_closing()
        begun = half not in {"nothing", "empty lines"}
        if begun:
            await eventually(lambda: arrival._begun, "the first bytes")
        await street.advance(milliseconds=1)
        said = await line.rest()
        assert said.startswith(b"HTTP/1.1 408 ") if begun else said == b""
        await eventually(lambda: street.open_lines == 0, "the end of the connection")
        assert not street.server.arrivals.open


async def test_sending_byte_after_byte_does_not_move_the_deadline(street: Street) -> None:
    await street.begin(limits={"request_seconds": 10.0})
    async with street.line("G") as line:
        for piece in "ET /":
            await street.advance(seconds=2.4)
            await line.say(piece)
        await street.advance(seconds=1)
        assert b" 408 " in await line.rest()


async def test_between_two_requests_the_time_is_the_same(street: Street) -> None:
    await street.begin(limits={"request_seconds": 10.0})
    async with street.line() as line:
        for _ in range(2):
            await street.advance(seconds=9)
            await line.say(f"{GET}\r\n")
            assert (await line.answer())[0] == 200
        await line.say("\r\n")  # ends uvicorn's own wait for another request
        await street.advance(seconds=10, milliseconds=1)
        assert await line.rest() == b""


async def test_a_body_has_the_time_that_its_size_takes(street: Street) -> None:
    await street.begin(shop(), limits={"request_seconds": 10.0, "body_bytes_per_second": 100.0})
    async with street.line() as line:
        await line.say("POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2001\r\n\r\n")
        await line.say("x" * 2000)
        await street.took(1)
        (arrival,) = street.server.arrivals.waiting
        await eventually(lambda: arrival._until == 30.0, "the body")
        await street.advance(seconds=30)
        await line.say("x")
        assert await line.answer() == (200, "x" * 2001)


@pytest.mark.parametrize("path", ["/echo", "/auth/guest"])
async def test_a_body_that_stays_away_is_given_up_and_no_failure_of_ours(
    street: Street, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    await street.begin(shop(), limits={"request_seconds": 10.0, "body_bytes_per_second": 100.0})
    async with street.line() as line:
        await line.say(
            f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            "Content-Length: 9\r\n\r\n{"
        )
        await street.took(1)
        await eventually(lambda: street.server.uvicorn.server_state.tasks, "the handler")
        await street.advance(seconds=10.02)
        assert await line.rest() == b""
    await eventually(lambda: not street.server.uvicorn.server_state.tasks, "the end of the handler")
    if path != "/echo":  # the app's own handler may fail as it likes
        assert not [record for record in caplog.records if record.exc_info]


async def test_an_answer_that_nobody_reads_is_given_up(street: Street) -> None:
    await street.begin(shop(), limits={"stalled_seconds": 30.0})
    reader = small_socket(street.port)
    try:
        reader.sendall(b"GET /large HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        (arrival,) = await eventually(lambda: street.server.arrivals.open, "the connection")
        await eventually(arrival.transport.is_closing, "the answer")
        street.look()
        await street.advance(seconds=30)
        assert street.open_lines == 1
        await street.advance(milliseconds=1)
        await eventually(lambda: street.open_lines == 0, "the end of the connection")
    finally:
        reader.close()


async def test_who_reads_slowly_but_steadily_gets_the_whole_answer(street: Street) -> None:
    await street.begin(shop(), limits={"stalled_seconds": 30.0})
    async with street.line("GET /large HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n") as line:
        (arrival,) = street.server.arrivals.open
        await eventually(lambda: arrival.transport.get_write_buffer_size() > 0, "the answer")
        said, looks = b"", 0
        while size := arrival.transport.get_write_buffer_size():
            while (
                arrival.transport.get_write_buffer_size() > size - 50_000
                and arrival in street.server.arrivals.open
            ):
                said += await line.piece()
            await street.advance(seconds=29)
            looks += 1
        said += await line.rest()
        assert len(said.partition(b"\r\n\r\n")[2]) == LARGE
        assert looks > 3


# Requests have their size


@pytest.mark.parametrize(
    "request_",
    [
        "GET /" + "x" * 2000,
        f"{GET}X-Large: {'x' * 2000}",
        f"{GET}X-Large: {'x' * 2000}\r\n\r\n",
        f"{GET}{'x' * 2000}",
        GET + "".join(f"X-{n}: {'x' * 90}\r\n" for n in range(20)),
        f"GET /ws HTTP/1.1\r\nHost: localhost\r\nX-Large: {'x' * 2000}\r\n{UPGRADE}\r\n",
        "POST /echo HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n1;" + "x" * 2000,
    ],
    ids=["path", "value", "whole", "name", "many", "upgrade", "chunk"],
)
async def test_headers_that_are_too_large_are_refused_before_they_are_whole(
    street: Street, request_: str
) -> None:
    await street.begin(shop(), limits={"header_bytes": 1500})
    async with street.line(request_) as line:
        said = await line.rest()
        assert said.startswith(b"HTTP/1.1 431 "), said[:200]


@pytest.mark.parametrize(("over", "status"), [(0, 200), (1, 431)])
async def test_headers_may_be_so_large_and_no_larger(street: Street, over: int, status: int) -> None:
    await street.begin(limits={"header_bytes": 1000})
    counted = len("/healthz") + len("Host: localhost\r\n") + len("X: \r\n")
    async with street.line(f"{GET}X: {'x' * (1000 - counted + over)}\r\n\r\n") as line:
        assert (await line.answer())[0] == status


async def test_each_request_on_a_connection_has_its_own_headers(street: Street) -> None:
    await street.begin(limits={"header_bytes": 1000})
    async with street.line() as line:
        for _ in range(4):
            await line.say(f"{GET}X: {'x' * 900}\r\n\r\n")
            assert (await line.answer())[0] == 200


# There is room for whoever comes with a whole request


async def test_so_many_lines_may_be_held_and_past_it_the_oldest_makes_room(street: Street) -> None:
    await street.begin(limits={"requests": 2})
    async with street.line("GET") as first, street.line("GET") as second:
        await street.took(2)
        assert not first.is_over
        async with street.line() as third:
            assert await first.rest() == b""
            await third.ask("GET /healthz")
            assert (await third.answer())[0] == 200
            assert not second.is_over


async def test_sockets_leave_the_room_to_requests(street: Street) -> None:
    await street.begin(limits={"requests": 1})
    players = [await street.connect(name) for name in ("ann", "bob", "cid")]
    assert not street.server.arrivals.open
    async with street.line("GET"):
        await street.took(1)
        for player in players:
            await player.command("ping")


async def test_of_all_connections_there_are_so_many_and_no_more(street: Street) -> None:
    await street.begin(limits={"connections": 2, "requests": 1})
    ann, bob = await street.connect("ann"), await street.connect("bob")
    async with street.line("GET") as waits:
        async with street.line() as more:
            assert await more.rest() == b""
        assert not waits.is_over
    await eventually(lambda: street.open_lines == 2, "room")
    await ann.leave()
    await street.connect("cid")
    await bob.command("ping")


@pytest.mark.parametrize("over", [0, 1])
async def test_so_many_requests_may_wait_for_the_answer_to_the_first_and_no_more(
    street: Street, over: int
) -> None:
    asked, may_answer = asyncio.Event(), asyncio.Event()

    async def slow(_: Request) -> Response:
        asked.set()
        await may_answer.wait()
        return PlainTextResponse("at last")

    app = starwire.App("slow", routes=[Route("/slow", slow)])
    await street.begin(app, limits={"pipelined_requests": 3})
    first = "GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n"
    async with street.line(first + f"{GET}\r\n" * (3 + over)) as line:
        await asked.wait()
        if over:
            assert (await line.rest()).startswith(b"HTTP/1.1 400 ")
        may_answer.set()
        if not over:
            assert [(await line.answer())[0] for _ in range(4)] == [200] * 4


# What fails at the door leaves nothing behind


TWICE = ["Host: evil.example", "Origin: http://127.0.0.1", "X-Forwarded-For: 192.0.2.1"]


@pytest.mark.parametrize("header", TWICE)
async def test_a_header_that_comes_twice_leaves_no_connection_behind(street: Street, header: str) -> None:
    await street.begin(trusted_proxies=("127.0.0.1/32",))
    host = f"Host: 127.0.0.1:{street.port}"
    async with street.line() as line:
        await line.ask("GET /ws", host, header, header, upgrade=True)
        status, said = await line.answer()
        assert status == (101 if header.startswith("X-") else 400), said
    await eventually(lambda: street.open_lines == 0, "the end of the connection")


@pytest.mark.parametrize("fails_in", ["entrance", "hub"])
async def test_a_failure_during_the_upgrade_ends_this_connection_and_leaves_nothing(
    street: Street, monkeypatch: pytest.MonkeyPatch, fails_in: str
) -> None:
    await street.begin()
    ann = await street.connect("ann")
    ws = street.server.uvicorn.config.ws_protocol_class
    assert ws is not None

    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("a mistake of ours")

    target = ws.entrance if fails_in == "entrance" else ws  # type: ignore[attr-defined]
    monkeypatch.setattr(target, "refusal" if fails_in == "entrance" else "accept", fail)
    async with street.line() as line:
        await line.ask("GET /ws", upgrade=True)
        said = await line.rest() if fails_in == "entrance" else (await line.answer())[0]
        assert said == (b"" if fails_in == "entrance" else 101)
    await eventually(lambda: street.open_lines == 1, "the end of the connection")
    monkeypatch.undo()
    await ann.command("ping")
    await street.connect("bob")


async def test_a_failure_over_an_open_socket_closes_it_with_1011(
    street: Street, monkeypatch: pytest.MonkeyPatch
) -> None:
    await street.begin()
    ann, bob = await street.connect("ann"), await street.connect("bob")
    (session,) = [each for each in street.server.hub.sessions if each.player == "ann"]

    def fail(*_: Any) -> None:
        raise RuntimeError("a mistake of ours")

    monkeypatch.setattr(type(session.connection), "receive", fail)
    await ann.send("{}")
    assert (await ann.told_to_leave())[0] == 1011
    monkeypatch.undo()
    await bob.command("ping")
    await eventually(lambda: street.open_lines == 1, "the end of the connection")


async def test_who_does_not_answer_the_close_is_put_out_soon(street: Street) -> None:
    await street.begin(limits={"close_seconds": 0.05, "hello_seconds": 5.0})
    async with street.line() as line:
        await line.ask("GET /ws", upgrade=True)
        assert (await line.answer())[0] == 101
        await street.advance(seconds=5, milliseconds=1)
        said = await line.rest()
        assert int.from_bytes(said[2:4], "big") == 4408
    await eventually(lambda: street.open_lines == 0, "the end of the connection")
    assert not street.server.hub.sessions


# Names


@pytest.mark.parametrize(
    ("hosts", "host", "status"),
    [
        ((), "evil.example", 421),
        ((), "localhost.evil.example", 421),
        ((), "localhost", 101),
        ((), "[::1]", 101),
        (("play.example.com",), "play.example.com", 101),
        (("play.example.com",), "Play.Example.com.:443", 101),
        (("play.example.com",), "x.play.example.com", 421),
        (("*",), "anything.example", 101),
    ],
)
async def test_a_socket_opens_under_a_name_of_ours_only(
    street: Street, hosts: tuple[str, ...], host: str, status: int
) -> None:
    await street.begin(hosts=hosts)
    async with street.line() as line:
        await line.ask("GET /ws", f"Host: {host}", f"Origin: http://{host}", upgrade=True)
        said = await line.answer()
        assert said[0] == status, said
        assert status == 101 or ("STARWIRE_HOSTS" in said[1] and host in said[1])


async def test_pages_and_signing_in_have_the_same_names_as_the_socket(street: Street) -> None:
    await street.begin(shop(), hosts=("play.example.com",))
    for host, status in (("evil.example", 421), ("play.example.com:8000", 200)):
        async with street.line() as line:
            await line.ask("POST /auth/guest", f"Host: {host}", f"Origin: http://{host}", body="{}")
            assert (await line.answer())[0] == status


async def test_the_name_that_the_server_listens_on_is_its_own(street: Street) -> None:
    await street.begin(host="localhost")
    entrance = street.server.uvicorn.config.ws_protocol_class.entrance  # type: ignore[union-attr]
    assert entrance._hosts == ("localhost",)


# The stop


async def test_a_request_that_is_being_answered_when_the_server_stops_gets_its_answer(street: Street) -> None:
    asked, may_answer = asyncio.Event(), asyncio.Event()

    async def slow(_: Request) -> Response:
        asked.set()
        await may_answer.wait()
        return PlainTextResponse("at last")

    await street.begin(starwire.App("slow", routes=[Route("/slow", slow)]))
    async with street.line("GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n", GET) as line:
        await asked.wait()
        stopping = asyncio.ensure_future(street.stop())
        await eventually(lambda: street.server.hub.closing, "the stop")
        may_answer.set()
        assert await line.answer() == (200, "at last")
        await stopping
        assert await line.rest() == b""
