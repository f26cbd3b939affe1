"""Who is closed for what it sends is told why, though it is still sending."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.contract.harness import PATIENCE, eventually
from tests.hostile.wire import TEXT, close_frame, frame, request
from tests.support.line import Street, open_street

HUGE = 10_000_000
PIECE = frame(TEXT, b" " * 60_000)
BROKEN = {
    "too large": (frame(TEXT, says=HUGE), 1009),
    "no UTF-8": (frame(TEXT, b"\xff"), 1007),
    "reserved bits": (frame(TEXT, b"{}", reserved=4), 1002),
}


@pytest.fixture
async def street(tmp_path: Path) -> AsyncIterator[Street]:
    async with open_street(tmp_path) as made:
        yield made


class Sender:
    """A WebSocket that reads when it is told to, and not before: a reset is seen in sending or reading."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._loop = asyncio.get_running_loop()

    @classmethod
    async def open(cls, street: Street) -> Sender:
        sock = socket.socket()
        sock.setblocking(False)
        sender = cls(sock)
        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", street.port))
        await sender.send(request(street.port))
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += await sender.read(1)
        assert head.startswith(b"HTTP/1.1 101 ")
        return sender

    async def send(self, data: bytes) -> None:
        async with asyncio.timeout(PATIENCE):
            await self._loop.sock_sendall(self.sock, data)

    async def read(self, most: int = 65_536) -> bytes:
        async with asyncio.timeout(PATIENCE):
            return await self._loop.sock_recv(self.sock, most)

    async def closed_with(self) -> int:
        """The code of the close frame, which is all that comes."""
        said = await self.read()
        assert said[0] == 0x88, said
        return int.from_bytes(said[2:4], "big")


@pytest.mark.parametrize("bad", BROKEN)
async def test_one_that_is_still_sending_hears_why_it_is_closed(street: Street, bad: str) -> None:
    await street.begin(limits={"close_seconds": PATIENCE})
    sender = await Sender.open(street)
    with sender.sock:
        first, code = BROKEN[bad]
        await sender.send(first)
        for _ in range(16):
            await sender.send(PIECE)
        assert await sender.closed_with() == code
        await sender.send(close_frame(code))
        assert await sender.read() == b"", "the end, and no reset"
    await eventually(lambda: street.open_lines == 0, "the end of the connection")
    assert not street.server.hub.sessions


async def test_so_many_bytes_are_dropped_and_not_one_more(street: Street) -> None:
    await street.begin(limits={"close_seconds": PATIENCE, "dropped_bytes": 100_000})
    sender = await Sender.open(street)
    with sender.sock:
        (connection,) = street.server.uvicorn.server_state.connections
        await sender.send(frame(TEXT, says=HUGE))
        assert await sender.closed_with() == 1009
        await sender.send(bytes(100_000))
        await eventually(lambda: getattr(connection, "_dropped", 0) == 100_000, "what is dropped")
        assert street.open_lines == 1
        await sender.send(b"x")
        await eventually(lambda: street.open_lines == 0, "the end of the connection")


async def test_one_that_never_hangs_up_is_put_out_soon(street: Street) -> None:
    await street.begin(limits={"close_seconds": 0.05})
    sender = await Sender.open(street)
    with sender.sock:
        await sender.send(frame(TEXT, says=HUGE))
        assert await sender.closed_with() == 1009
        await eventually(lambda: street.open_lines == 0, "the end of the connection")
        assert not street.server.hub.sessions


async def test_a_stop_does_not_wait_for_one_that_is_still_sending(street: Street) -> None:
    await street.begin(limits={"close_seconds": 1_000.0, "drain_seconds": 1_000.0})
    sender = await Sender.open(street)
    with sender.sock:
        await sender.send(frame(TEXT, says=HUGE))
        assert await sender.closed_with() == 1009
        async with asyncio.timeout(PATIENCE):
            await street.stop()
