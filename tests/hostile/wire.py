"""A WebSocket client made of bytes: it sends whatever it is told, right or wrong, and reads what comes.

No library stands between: one that knows the protocol would refuse to break it. Nothing runs in the
background; who wants a frame asks for it.
"""

from __future__ import annotations

import asyncio
import base64
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

PATIENCE_SECONDS = 20.0
CONT, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
LOST = 1006
SWITCHING = 101
KEY = base64.b64encode(b"sixteen bytes ok").decode()

Frame = dict[str, Any]


def frame(
    opcode: int,
    payload: bytes = b"",
    *,
    fin: bool = True,
    reserved: int = 0,
    masked: bool = True,
    says: int | None = None,
) -> bytes:
    """One frame, as RFC 6455 section 5.2 lays it out, or not.

    Args:
        opcode: any of 0 to 15.
        payload: what it carries.
        fin: whether the message ends with it.
        reserved: the three reserved bits.
        masked: whether it is masked, as every frame of a client must be.
        says: the length that its header claims, in the longest form, if it is another one.
    """
    size = len(payload) if says is None else says
    head = bytes([fin << 7 | reserved << 4 | opcode])
    if size < 126 and says is None:
        head += bytes([masked << 7 | size])
    elif size < 65_536 and says is None:
        head += bytes([masked << 7 | 126]) + size.to_bytes(2, "big")
    else:
        head += bytes([masked << 7 | 127]) + size.to_bytes(8, "big")
    if not masked:
        return head + payload
    # A mask of zeros is a mask, and leaves the payload readable.
    return head + bytes(4) + payload


def close_frame(code: int, reason: bytes = b"") -> bytes:
    return frame(CLOSE, code.to_bytes(2, "big") + reason)


def text_frame(text: str) -> bytes:
    return frame(TEXT, text.encode("utf-8", "surrogatepass"))


def order(command: str, id: str | None = None, **args: Any) -> str:
    """The text of a command."""
    return json.dumps({"id": id, "command": command, "args": args})


def request(port: int, *extra: str, path: str = "/ws", method: str = "GET", version: str = "13") -> bytes:
    """An upgrade request; ``extra`` are header lines."""
    lines = [
        f"{method} {path} HTTP/1.1",
        f"Host: 127.0.0.1:{port}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {KEY}",
        f"Sec-WebSocket-Version: {version}",
        "Sec-WebSocket-Protocol: starwire.v1",
        *extra,
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


class Closed(NamedTuple):
    """How the server ended a connection; 1006: without a word."""

    code: int
    reason: str


class Wire:
    """One TCP connection. ``replies`` and ``pushes`` hold what was read so far."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.closed: Closed | None = None
        self.is_open = False
        """Whether the handshake has succeeded."""
        self.pongs = 0
        self.replies: list[Frame] = []
        self.pushes: list[Frame] = []
        self._reader = reader
        self._writer = writer

    @classmethod
    @asynccontextmanager
    async def tcp(cls, port: int, *, receive_bytes: int | None = None) -> AsyncIterator[Wire]:
        """A connection that has said nothing yet; ``receive_bytes`` bound what the kernel takes for it."""
        sock = socket.socket()
        if receive_bytes is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        sock.setblocking(False)
        try:
            await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
            reader, writer = await asyncio.open_connection(sock=sock)
        except BaseException:
            sock.close()
            raise
        try:
            yield cls(reader, writer)
        finally:
            writer.transport.abort()

    @classmethod
    @asynccontextmanager
    async def open(cls, port: int, *extra: str, **options: Any) -> AsyncIterator[Wire]:
        """A WebSocket that has not said hello."""
        async with cls.tcp(port, **options) as wire:
            status = await wire.upgrade(request(port, *extra))
            assert status == 101, f"the handshake was answered {status}"
            yield wire

    @classmethod
    @asynccontextmanager
    async def greeted(cls, port: int, token: str, **hello: Any) -> AsyncIterator[Wire]:
        """A WebSocket that has said hello, and was let in."""
        async with cls.open(port) as wire:
            assert (await wire.ask("hello", "hello", token=token, **hello))["ok"]
            yield wire

    async def upgrade(self, request: bytes) -> int:
        """Send a request; the status of its answer, 0 when the server hung up instead."""
        await self.send(request)
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                head = await self._reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            return 0
        status = int(head.split(b" ", 2)[1])
        self.is_open = status == SWITCHING
        return status

    async def send(self, *parts: bytes) -> None:
        """Send these bytes. Whether the other side is still there is seen by reading."""
        try:
            self._writer.write(b"".join(parts))
            await self._writer.drain()
        except ConnectionError:
            pass

    async def say(self, text: str) -> None:
        """Send a text message, whatever it is."""
        await self.send(text_frame(text))

    async def hear(self) -> Frame | None:
        """The next JSON frame; None when the connection is over (``closed`` says how)."""
        if self.closed is not None:
            return None
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                while (opcode := (message := await self._message())[0]) in (PING, PONG):
                    self.pongs += opcode == PONG
        except (asyncio.IncompleteReadError, ConnectionError):
            self.closed = Closed(LOST, "")
            return None
        except TimeoutError:
            raise AssertionError(f"nothing came; so far {self.replies[-3:]}") from None
        opcode, payload = message
        if opcode == CLOSE:
            self.closed = Closed(int.from_bytes(payload[:2], "big"), payload[2:].decode())
            await self.send(frame(CLOSE, payload))
            return None
        assert opcode == TEXT, f"the server sent a frame with opcode {opcode}"
        heard: Frame = json.loads(payload)
        if heard["type"] == "reply":
            self.replies.append(heard)
        elif heard["type"] == "push":
            self.pushes.append(heard)
        return heard

    async def _message(self) -> tuple[int, bytes]:
        head = await self._reader.readexactly(2)
        assert head[0] & 0x80, "the server fragments"
        assert not head[0] & 0x70, "the server sets reserved bits"
        assert not head[1] & 0x80, "the server masks"
        size = head[1]
        if size >= 126:
            size = int.from_bytes(await self._reader.readexactly(2 if size == 126 else 8), "big")
        return head[0] & 0x0F, await self._reader.readexactly(size)

    async def control(self) -> None:
        """Read one frame, of which only pongs are counted."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            opcode, _ = await self._message()
        self.pongs += opcode == PONG

    @property
    def is_over(self) -> bool:
        """Whether the other side is known to have hung up."""
        return self._reader.at_eof() or self._reader.exception() is not None

    async def reply(self) -> Frame:
        """The next reply, whatever it is to."""
        count = len(self.replies)
        while await self.hear() is not None:
            if len(self.replies) > count:
                return self.replies[-1]
        raise AssertionError(f"closed with {self.closed} instead of a reply")

    async def ask(self, command: str, id: str, **args: Any) -> Frame:
        """Send a command; the reply to its id, which must not have been used here before."""
        await self.say(order(command, id, **args))
        while (reply := await self.reply())["id"] != id:
            pass
        return reply

    async def code(self, text: str) -> str:
        """Send a text; the code of the error that answers it, `ok` when none does."""
        await self.say(text)
        reply = await self.reply()
        return "ok" if reply["ok"] else str(reply["error"]["code"])

    async def end(self) -> Closed:
        """Read until the server has ended the connection, and give how."""
        while await self.hear() is not None:
            pass
        assert self.closed is not None
        return self.closed

    async def hung_up(self) -> bytes:
        """Read until the server has ended a connection that is no WebSocket; what it said before."""
        said = b""
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                while more := await self._reader.read(65_536):
                    said += more
        except ConnectionError:
            pass
        return said
