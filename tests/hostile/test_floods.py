"""Floods: whatever comes in masses costs the server bounded memory, and nobody else notices."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

import psutil
import pytest

from starwire.client import guest
from tests.hostile.wire import CONT, LOST, PING, TEXT, Wire, frame, order, request, text_frame
from tests.support.server import ServerProcess

SAMPLE, FULL = 3_000, 150_000
"""Frames of a flood of each kind."""
BOUND_BYTES = {SAMPLE: 12_000_000, FULL: 30_000_000}
"""What the server may grow by in all: 200 bytes kept of each frame of one kind, in full size, are more."""
PORTION = 500
NAMES = itertools.count(1)

Flood = Callable[[int, str, int], Awaitable[None]]


async def bad_frames(port: int, token: str, count: int) -> None:
    """Until each connection is closed for it."""
    nonsense = text_frame("nonsense " * 20) * 25
    for _ in range(count // 21 + 1):
        async with Wire.open(port) as wire:
            await wire.send(nonsense)
            assert (await wire.end()).code in {4400, LOST}


async def large_frames(port: int, token: str, count: int) -> None:
    """As large as may be, in fragments of which the last never comes."""
    part = frame(TEXT, b"x" * 30_000, fin=False) + frame(CONT, b"x" * 30_000, fin=False)
    for _ in range(count // 100 + 1):
        async with Wire.greeted(port, token) as wire:
            await wire.send(part)


async def empty_fragments(port: int, token: str, count: int) -> None:
    """Of one message that never ends, and never has a byte."""
    async with Wire.greeted(port, token) as wire:
        await wire.send(frame(TEXT, fin=False))
        for _ in range(0, count, PORTION):
            await wire.send(frame(CONT, fin=False) * PORTION, frame(PING, b"?"))
            while wire.pongs == 0:
                await wire.control()
            wire.pongs = 0


async def pings(port: int, token: str, count: int) -> None:
    """Of the WebSocket, each answered."""
    async with Wire.greeted(port, token) as wire:
        for _ in range(0, count, PORTION):
            await wire.send(frame(PING, b"x" * 125) * PORTION)
            while wire.pongs < PORTION:
                await wire.control()
            wire.pongs = 0


async def unread_answers(port: int, token: str, count: int) -> None:
    """Commands as fast as they can be sent by somebody who reads nothing."""
    async with Wire.open(port, receive_bytes=4096) as wire:
        await wire.send(text_frame(order("hello", "h", token=token)))
        portion = text_frame(order("ping", "p", t="x" * 500)) * PORTION
        for _ in range(0, count, PORTION):
            try:
                async with asyncio.timeout(0.1):
                    await wire.send(portion)
            except TimeoutError:
                break  # it reads no more from somebody who does not read


async def names_that_nobody_has(port: int, token: str, count: int) -> None:
    """Commands, ids and streams, each another one."""
    for _ in range(count // 150 + 1):
        streams = {f"room:{next(NAMES)}": 0 for _ in range(200)}
        async with Wire.greeted(port, token, resume=streams) as wire:
            for _ in range(150):
                name = f"nothing-{next(NAMES)}"
                await wire.say(order(name, name))
                assert (await wire.reply())["id"] == name


async def hellos(port: int, token: str, count: int) -> None:
    """With tokens that are none, and with one that is."""
    for number in range(count // 10 + 1):
        async with Wire.open(port) as wire:
            good = number % 2
            assert (await wire.ask("hello", "h", token=token if good else f"no.tok.{number}"))["ok"] == good


async def handshakes(port: int, token: str, count: int) -> None:
    """Whole ones that are refused, and halves that are dropped."""
    origin = f"Origin: http://127.0.0.1:{port}"
    kinds = [
        request(port, "Origin: https://evil.example"), request(port, origin, origin),
        request(port, "X: " + "x" * 20_000), request(port, version="12"), request(port, path="/nothing"),
    ]  # fmt: skip
    for number in range(count // 10 + 1):
        async with Wire.tcp(port) as wire:
            assert await wire.upgrade(kinds[number % len(kinds)]) != 101
        async with Wire.tcp(port) as wire:
            await wire.send(request(port)[: number % 150])


async def headers_without_end(port: int, token: str, count: int) -> None:
    """One request that is nothing but headers."""
    for line in (b"X: y\r\n", b"x"):
        async with Wire.tcp(port) as wire:
            await wire.send(request(port)[:-2], b"X: ")
            for _ in range(0, count, PORTION):
                await wire.send(line * PORTION * 20)
                if wire.is_over:
                    break


async def connections(port: int, token: str, count: int) -> None:
    """Many at once that say nothing."""
    async with AsyncExitStack() as stack:
        for _ in range(min(count // 20, 800)):
            await stack.enter_async_context(Wire.open(port))


FLOODS: tuple[Flood, ...] = (
    bad_frames, large_frames, empty_fragments, pings, unread_answers, names_that_nobody_has, hellos,
    handshakes, headers_without_end, connections,
)  # fmt: skip


def memory(server: ServerProcess) -> int:
    return int(psutil.Process(server.pid).memory_info().rss)


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("count", [SAMPLE, pytest.param(FULL, marks=pytest.mark.soak)])
async def test_a_flood_of_any_kind_costs_bounded_memory(server: ServerProcess, count: int) -> None:
    account = await guest(server.url)
    for flood in FLOODS:
        await flood(server.port, account["access_token"], count // 10)
    before = memory(server)
    grown = {}
    for flood in FLOODS:
        start = memory(server)
        await flood(server.port, account["access_token"], count)
        grown[flood.__name__] = memory(server) - start
    print({name: f"{size / 1e6:.1f} MB" for name, size in grown.items()})
    assert memory(server) - before < BOUND_BYTES[count], grown


async def test_frames_behind_an_unanswered_hello_wait_for_it_in_bounded_number(
    server: ServerProcess, token: str
) -> None:
    async with Wire.open(server.port) as wire:
        await wire.send(
            text_frame(order("hello", "h", token=token)),
            *(text_frame(order("ping", f"p{number}")) for number in range(66)),
        )
        replies = [await wire.reply() for _ in range(67)]
        refused = {reply["id"]: reply["error"]["code"] for reply in replies if not reply["ok"]}
        assert refused == {"p64": "rate_limited", "p65": "rate_limited"}
        answered = [reply["id"] for reply in replies if reply["ok"]]
        assert answered == ["h", *(f"p{number}" for number in range(64))]


async def test_who_sends_more_than_the_rate_is_told_when_to_come_again(
    server: ServerProcess, token: str
) -> None:
    async with Wire.greeted(server.port, token) as wire:
        await wire.send(*(text_frame(order("ping", f"p{number}")) for number in range(400)))
        answers = [await wire.reply() for _ in range(400)]
        refused = [answer["error"] for answer in answers if not answer["ok"]]
        assert len(refused) > 100, "two hundred may come at once, and then fifty a second"
        assert {error["code"] for error in refused} == {"rate_limited"}
        assert all(error["retry"] and error["retry_after"] > 0 for error in refused)


async def test_who_has_too_many_commands_on_the_way_is_told_so_and_they_leave_no_trace(
    server: ServerProcess, token: str
) -> None:
    async with Wire.greeted(server.port, token) as wire:
        await wire.send(*(text_frame(order("write", f"w{n}", mark=str(n))) for n in range(100)))
        answers = [await wire.reply() for _ in range(100)]
        codes = {answer["error"]["code"] for answer in answers if not answer["ok"]}
        assert codes == {"rate_limited"}
        done = sum(answer["ok"] for answer in answers)
        assert done >= 64
        assert (await wire.ask("count", "c"))["result"] == done
