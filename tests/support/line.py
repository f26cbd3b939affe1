"""A TCP connection that says literal bytes, and a server with settings of the test's own to say them to."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import starwire
from starwire.config import Settings
from starwire.limits import Limits
from tests.contract import garden
from tests.contract.harness import PATIENCE, Embedded, eventually

UPGRADE = (
    "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: c2l4dGVlbiBieXRlcyBvaw==\r\n"
)


class Street(Embedded):
    """A server, and what a test of its doors asks of it."""

    async def begin(
        self, app: starwire.App | None = None, limits: dict[str, Any] | None = None, **settings: Any
    ) -> None:
        """Start with these bounds and settings; it listens when this returns."""
        chosen = {"port": 0, "data": self.folder / "data", "dev": True, **settings}
        await self._serve(app or garden.build(), Settings(**chosen, limits=Limits(**(limits or {}))))

    @asynccontextmanager
    async def line(self, *said: bytes | str) -> AsyncIterator["Line"]:
        """A TCP connection that the server knows of, and that has said this."""
        line = Line(self.port, *await asyncio.open_connection("127.0.0.1", self.port))
        try:
            await eventually(
                lambda: line.is_over or line.name in {each.client for each in self.server.arrivals.open},
                "the server to know the line",
            )
            for each in said:
                await line.say(each)
            yield line
        finally:
            line.hang_up()

    @property
    def open_lines(self) -> int:
        """How many connections uvicorn would wait for when it stops."""
        return len(self.server.uvicorn.server_state.connections)

    async def took(self, count: int) -> None:
        """Wait until so many connections have a request that is not whole."""
        await eventually(lambda: len(self.server.arrivals.waiting) == count, f"{count} that wait")


class Line:
    """One TCP connection."""

    def __init__(self, port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._port = port
        self._reader = reader
        self._writer = writer
        self.name: tuple[str, int] = writer.get_extra_info("sockname")
        """What the server sees of it."""

    @property
    def is_over(self) -> bool:
        """Whether the server has hung up."""
        return self._reader.at_eof() or self._reader.exception() is not None

    async def say(self, what: bytes | str) -> None:
        """Send bytes as they are."""
        self._writer.write(what if isinstance(what, bytes) else what.encode())
        await self._writer.drain()

    async def ask(self, what: str, *headers: str, body: str = "", upgrade: bool = False) -> None:
        """Send a request: ``GET /``."""
        lines = [f"{what} HTTP/1.1", *headers]
        if not any(each.lower().startswith("host:") for each in headers):
            lines.insert(1, f"Host: 127.0.0.1:{self._port}")
        if body:
            lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
        await self.say("\r\n".join(lines) + "\r\n" + (UPGRADE if upgrade else "") + "\r\n" + body)

    async def answer(self) -> tuple[int, str]:
        """The next answer over HTTP: its status and body; 0 when the server hung up without one."""
        try:
            async with asyncio.timeout(PATIENCE):
                head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
                size = head.partition("content-length: ")[2].partition("\r\n")[0]
                body = await self._reader.readexactly(int(size or 0))
        except (asyncio.IncompleteReadError, ConnectionError):
            return 0, ""
        return int(head.split(" ", 2)[1]), body.decode()

    async def piece(self) -> bytes:
        """Some of what the server has said."""
        async with asyncio.timeout(PATIENCE):
            return await self._reader.read(50_000)

    async def rest(self) -> bytes:
        """Everything until the server hangs up."""
        try:
            async with asyncio.timeout(PATIENCE):
                return await self._reader.read()
        except ConnectionError:
            return b""

    def hang_up(self) -> None:
        """End it without a word."""
        self._writer.transport.abort()


def small_socket(port: int) -> socket.socket:
    """A connection whose kernel takes little at once: a reader who does not read is seen soon."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.connect(("127.0.0.1", port))
    return sock


@asynccontextmanager
async def open_street(folder: Path) -> AsyncIterator[Street]:
    """A server that is stopped at the end."""
    street = Street(folder)
    try:
        yield street
    finally:
        await street.close()
