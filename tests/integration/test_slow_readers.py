"""Many who never read, beside as many who do: what they cost is bounded, and the others notice nothing.

Measured in bytes and in what was done for them, never in time.
"""

from __future__ import annotations

import asyncio
import json
import re
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest
from websockets.frames import Frame, Opcode

from starwire.gateway.session import Session
from tests.contract.harness import Client, Embedded, eventually

HIGH, LOW, KERNEL = 32_768, 8_192, 16_384
SIZE, BATCH = 1_000, 50  # of an event in bytes; of events in a command
UPGRADE = (
    "GET /ws HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
_OFFSET = re.compile(rb'"stream":"all","offset":(\d+)')


OPEN: list[Raw] = []


class Raw(asyncio.Protocol):
    """A client of few bytes: it says hello, then notes the offsets that come, or reads no more."""

    def __init__(self, port: int, player: str, *, reads: bool) -> None:
        self.welcome = asyncio.get_running_loop().create_future()
        self.offsets: list[int] = []
        self.lost = False
        self.transport: asyncio.Transport
        hello = {"id": "h", "command": "hello", "args": {"token": player}}
        self._upgrade = UPGRADE.format(port=port).encode()
        self._hello: bytes | None = Frame(Opcode.TEXT, json.dumps(hello).encode()).serialize(mask=True)
        self._reads = reads
        self._rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.write(self._upgrade)

    def data_received(self, data: bytes) -> None:
        if self._hello is not None and b"\r\n\r\n" in data:
            self.transport.write(self._hello)
            self._hello = None
        data = self._rest + data
        end = 0
        for found in _OFFSET.finditer(data):
            if found.end() < len(data):  # else more digits may come
                self.offsets.append(int(found[1]))
                end = found.end()
        self._rest = data[end:][-100:]
        if not self.welcome.done() and b'"ok":true' in data:
            self.welcome.set_result(None)
            if not self._reads:
                self.transport.pause_reading()

    def connection_lost(self, error: Exception | None) -> None:
        self.lost = True


async def connect(engine: Embedded, player: str, *, reads: bool) -> Raw:
    sock = socket.socket()
    if not reads:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    sock.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(sock, ("127.0.0.1", engine.port))
    _, raw = await loop.create_connection(lambda: Raw(engine.port, player, reads=reads), sock=sock)
    OPEN.append(raw)
    await asyncio.wait_for(raw.welcome, 15)
    return raw


async def crowd(engine: Embedded, name: str, count: int, *, reads: bool) -> list[Raw]:
    return [await connect(engine, f"{name}{number}", reads=reads) for number in range(count)]


def waiting(engine: Embedded, name: str) -> list[int]:
    """The bytes that wait at the server for each connection of these players."""
    mine = [each for each in engine.server.hub.sessions if (each.player or "").startswith(name)]
    transports: list[Any] = [session._transport for session in mine]
    return [int(each._transport.get_write_buffer_size()) for each in transports]


async def shout(bob: Client, readers: list[Raw], *, up_to: int) -> None:
    """Publish to everyone; when this returns every reader has it."""
    for _ in range((up_to - len(readers[0].offsets)) // BATCH):
        await bob.command("shout", stream="all", count=BATCH, size=SIZE)
    await eventually(lambda: all(each.offsets[-1:] == [up_to] for each in readers), "all readers")


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[Embedded]:
    made = Embedded(tmp_path)
    yield made
    while OPEN:
        OPEN.pop().transport.abort()
    await made.close()


@pytest.mark.parametrize("count", [40, pytest.param(1_000, marks=pytest.mark.soak)])
async def test_so_many_that_never_read_cost_a_bounded_number_of_bytes_and_delay_nobody(
    engine: Embedded, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    await engine.start(
        write_high_bytes=HIGH,
        write_low_bytes=LOW,
        commands_burst=10_000,
        recent_events=16,
        stalled_seconds=30.0,
    )
    for listening in engine.server.uvicorn.servers[
        0
    ].sockets:  # so that kernels hold little and soon are full
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, KERNEL)
    readers = await crowd(engine, "reader", count, reads=True)
    silent = await crowd(engine, "silent", count, reads=False)
    bob = await engine.connect("bob")
    head = 400

    await shout(bob, readers, up_to=head // 2)
    full = waiting(engine, "silent")
    assert len(full) == count
    assert min(full) > LOW, "each is full"
    assert max(full) <= HIGH + 2 * SIZE, f"{max(full)} bytes wait for one of them"

    work = {"reads": 0, "writes": 0}
    history, write = engine.server.engine.history, Session.write

    async def counted_history(wanted: Any) -> Any:
        work["reads"] += 1
        return await history(wanted)

    def counted_write(session: Session, framed: bytes) -> None:
        work["writes"] += (session.player or "").startswith("silent")
        write(session, framed)

    monkeypatch.setattr(engine.server.engine, "history", counted_history)
    monkeypatch.setattr(Session, "write", counted_write)
    await shout(bob, readers, up_to=head)
    assert sorted(waiting(engine, "silent")) == sorted(full)
    assert work == {"reads": 0, "writes": 0}, "nothing is done for who reads nothing"
    for reader in readers:
        assert reader.offsets == list(range(1, head + 1)), "each event once, in order"

    silent[0].transport.resume_reading()  # one of them reads again, and has lost nothing
    await eventually(lambda: silent[0].offsets[-1:] == [head], "what was missed")
    assert silent[0].offsets == list(range(1, head + 1))
    assert 0 < work["reads"] <= head

    await engine.advance(seconds=31)
    await eventually(lambda: len(waiting(engine, "silent")) == 1, "the abort of those who stay silent")
    assert not any(each.lost for each in readers)
