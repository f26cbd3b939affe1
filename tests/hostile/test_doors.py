"""Handshakes that are none, and those who take their time: the door opens for neither, and does not jam."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest

from starwire.client import guest
from tests.hostile.conftest import HELLO_SECONDS
from tests.hostile.wire import CONT, KEY, PING, SWITCHING, TEXT, Wire, frame, order, request, text_frame
from tests.support.server import ServerProcess

SLACK_SECONDS = 4.0
"""Deadlines are looked at each second, and the machine may be busy."""


def bad_requests(port: int) -> dict[str, bytes]:
    good = request(port)
    return {
        "no key": good.replace(b"Sec-WebSocket-Key", b"X-Key"),
        "a key that is too short": good.replace(KEY.encode(), b"c2hvcnQ="),
        "two keys": request(port, f"Sec-WebSocket-Key: {KEY}"),
        "another version": request(port, version="12"),
        "no version": good.replace(b"Sec-WebSocket-Version", b"X-Version"),
        "another method": request(port, method="POST"),
        "another path": request(port, path="/socket"),
        "a path that looks alike": request(port, path="/ws/"),
        "a path with dots": request(port, path="/static/../ws"),
        "two origins": request(port, f"Origin: http://127.0.0.1:{port}", "Origin: https://evil.example"),
        "one origin twice": request(port, *[f"Origin: http://127.0.0.1:{port}"] * 2),
        "an upgrade to something else": good.replace(b"Upgrade: websocket", b"Upgrade: h2c"),
        "no upgrade": good.replace(b"Upgrade: websocket\r\n", b""),
        "headers that are too large": request(port, "X: " + "x" * 20_000),
        "headers that are much too large": request(port, "X: " + "x" * 200_000),
        "too many headers": request(port, *[f"X-{number}: y" for number in range(2000)]),
        "a NUL in a header": request(port, "X: a\0b"),
        "a line that is no header": request(port, "what is this"),
        "the beginning of TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100) + b"\r\n\r\n",
        "a frame without a handshake": text_frame(order("ping")) + b"\r\n\r\n",
        "two lengths": request(port, "Content-Length: 5", "Content-Length: 6"),
        "a length and chunks": request(port, "Content-Length: 5", "Transfer-Encoding: chunked"),
    }


async def test_a_handshake_that_is_none_is_refused_and_not_hung_up_on(server: ServerProcess) -> None:
    wrong = {}
    for name, bad in bad_requests(server.port).items():
        async with Wire.tcp(server.port) as wire:
            status = await wire.upgrade(bad)
            if not 400 <= status < 500:
                wrong[name] = status
    assert not wrong


async def test_what_is_sent_before_the_handshake_is_answered_is_not_heard(
    server: ServerProcess, token: str
) -> None:
    hello = text_frame(order("hello", "h", token=token))
    async with Wire.tcp(server.port) as wire:
        assert await wire.upgrade(request(server.port) + hello) == SWITCHING
        assert (await wire.ask("hello", "again", token=token))["ok"]
        assert [reply["id"] for reply in wire.replies] == ["again"]


async def test_no_extension_and_no_other_subprotocol_is_agreed_to(server: ServerProcess, token: str) -> None:
    offers = ("Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits",)
    async with Wire.open(server.port, *offers) as wire:
        assert (await wire.ask("hello", "h", token=token))["ok"]


Dawdling = Callable[[int, str], AbstractAsyncContextManager[tuple[Wire, Iterable[bytes]]]]
"""Makes a connection, and what is then sent of it bit by bit."""


def before_the_handshake(pieces: Callable[[int], Iterable[bytes]]) -> Dawdling:
    @asynccontextmanager
    async def begin(port: int, _: str) -> AsyncIterator[tuple[Wire, Iterable[bytes]]]:
        async with Wire.tcp(port) as wire:
            yield wire, pieces(port)

    return begin


def after_the_handshake(pieces: Callable[[str], Iterable[bytes]]) -> Dawdling:
    @asynccontextmanager
    async def begin(port: int, token: str) -> AsyncIterator[tuple[Wire, Iterable[bytes]]]:
        async with Wire.open(port) as wire:
            yield wire, pieces(token)

    return begin


def bytes_of(data: bytes) -> list[bytes]:
    return [data[at : at + 1] for at in range(len(data))]


MANY = 10_000
SLOW_LORISES: dict[str, Dawdling] = {
    "says nothing": before_the_handshake(lambda _: []),
    "half a line": before_the_handshake(lambda _: [b"GET /ws HT"]),
    "half a request": before_the_handshake(lambda port: [request(port)[:-2]]),
    "a request byte by byte": before_the_handshake(lambda port: bytes_of(request(port, "X: " + "x" * MANY))),
    "a header that never ends": before_the_handshake(
        lambda port: [request(port)[:-2], b"X: ", *[b"x"] * MANY]
    ),
    "one header after the other": before_the_handshake(
        lambda port: [request(port)[:-2], *[b"X-%d: y\r\n" % number for number in range(MANY)]]
    ),
    "empty lines": before_the_handshake(lambda _: [b"\r\n"] * MANY),
}
DAWDLERS: dict[str, Dawdling] = {
    "no hello": after_the_handshake(lambda _: []),
    "hello byte by byte": after_the_handshake(
        lambda token: bytes_of(text_frame(order("hello", "h", token=token, padding="x" * MANY)))
    ),
    "hello in fragments": after_the_handshake(
        lambda token: [frame(TEXT, b"{", fin=False), *[frame(CONT, b" ", fin=False)] * MANY]
    ),
    "pings instead": after_the_handshake(lambda _: [frame(PING, b"?")] * MANY),
    "commands instead": after_the_handshake(lambda _: [text_frame(order("ping"))] * 10),
}


async def last(begin: Dawdling, port: int, token: str, pause: float) -> tuple[float, int, bytes]:
    """How long a dawdler lasts; the close code, or what was said when there was none."""
    async with begin(port, token) as (wire, pieces):
        began = time.monotonic()

        async def dawdle() -> None:
            for piece in pieces:
                await wire.send(piece)
                await asyncio.sleep(pause)

        dawdling = asyncio.get_running_loop().create_task(dawdle())
        try:
            if wire.is_open:
                code, said = (await wire.end()).code, b""
            else:
                code, said = 0, await wire.hung_up()
        finally:
            dawdling.cancel()
        return time.monotonic() - began, code, said


@pytest.mark.parametrize("each", [1, pytest.param(100, marks=pytest.mark.soak)])
async def test_whoever_takes_their_time_is_put_out_at_the_deadline_while_others_come_in(
    server: ServerProcess, token: str, each: int
) -> None:
    kinds = {**SLOW_LORISES, **DAWDLERS}
    names = [name for name in kinds for _ in range(each)]
    lasting = [
        asyncio.get_running_loop().create_task(last(kinds[name], server.port, token, 0.05)) for name in names
    ]
    while not all(task.done() for task in lasting):
        began = time.monotonic()
        account = await guest(server.url)
        async with Wire.greeted(server.port, account["access_token"]) as wire:
            assert (await wire.ask("write", "w", mark="in time"))["ok"]
        assert time.monotonic() - began < SLACK_SECONDS, "the door is jammed"
        await asyncio.sleep(0.2)
    wrong = {}
    for name, task in zip(names, lasting, strict=True):
        seconds, code, said = task.result()
        in_time = HELLO_SECONDS - 0.1 <= seconds <= HELLO_SECONDS + SLACK_SECONDS
        right = code == 4408 if name in DAWDLERS else said == b"" or said.startswith(b"HTTP/1.1 4")
        if not (in_time and right):
            wrong[name] = (round(seconds, 1), code, said[:80])
    assert not wrong
