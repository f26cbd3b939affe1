"""A WebSocket on uvicorn's port: bytes to and from ``websockets``' protocol without I/O.

uvicorn parses the upgrade request and hands the transport over through its ``ws=`` setting. From then on
``websockets.server.ServerProtocol`` does handshake, parsing, checks and closing; what a text frame means is
the receiver's business. Pushes are framed once (``wrap``) and the same bytes are written to every transport.

There is no task for a connection, no timer, and no queue: when the transport is full (``pause_writing``) the
receiver is told and reading stops, so what waits here is bounded: pushes by the transport's high-water mark,
replies to what was read before by ``unsent_bytes``. Who sends much at once is heard in turn with the others.
"""

from __future__ import annotations

import asyncio
import codecs
from collections.abc import Callable
from typing import Any, ClassVar, Protocol, cast

import structlog
from uvicorn.config import Config
from uvicorn.server import ServerState
from websockets.frames import CloseCode, Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import OPEN
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from starwire.gateway.origin import Entrance
from starwire.limits import Limits
from starwire.protocol import SUBPROTOCOL

log = structlog.get_logger("starwire.gateway")

PATH = "/ws"
TURN_BYTES = 4_096
"""Of one connection, in one turn of the event loop: some hundreds of the smallest frames, about 10 ms.
libuv hands over megabytes in one turn; such a flood would hold up everybody for seconds."""


class Receiver(Protocol):
    """What an adapter tells of its client."""

    def text(self, text: str) -> None:
        """A whole text message, valid UTF-8."""
        ...

    def binary(self, data: bytes) -> None:
        """A whole binary message."""
        ...

    def heard(self) -> None:
        """Any frame has come, a pong too."""
        ...

    def full(self) -> None:
        """Nothing more can be taken."""
        ...

    def drained(self) -> None:
        """More can be taken."""
        ...

    def lost(self, code: int) -> None:
        """The connection is over."""
        ...


def wrap(frame: bytes) -> bytes:
    """A JSON text as one unmasked text frame, as RFC 6455 section 5.2 lays it out."""
    return Frame(Opcode.TEXT, frame).serialize(mask=False)


def _choose(_: ServerProtocol, offered: Any) -> Subprotocol | None:
    """Our subprotocol when the client offers it; without any when it offers none."""
    return Subprotocol(SUBPROTOCOL) if SUBPROTOCOL in offered else None


class WebSocket(asyncio.Protocol):
    """One connection. Subclass by ``serving``, which gives it its receivers."""

    limits: ClassVar[Limits]
    accept: ClassVar[Callable[[WebSocket], Receiver]]
    entrance: ClassVar[Entrance]

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self.config = config
        self.address = ""
        self._connections: set[Any] = server_state.connections
        self._loop = _loop or asyncio.get_event_loop()
        self._core = ServerProtocol(
            subprotocols=[Subprotocol(SUBPROTOCOL)],
            select_subprotocol=_choose,
            max_size=self.limits.frame_bytes,
        )
        self._transport: asyncio.Transport
        self._receiver: Receiver | None = None
        self._texts: list[str] = []
        self._chunks: list[bytes] = []
        self._opcode: Opcode | None = None
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._timer: asyncio.TimerHandle | None = None
        self._closing = False
        self._failed = False
        self._full = False
        self._unheard = b""
        self._turn: asyncio.Handle | None = None
        self._dropping = False
        self._dropped = 0

    # asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The upgrade request is about to come."""
        self._connections.add(self)
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass
        self._transport.set_write_buffer_limits(self.limits.write_high_bytes, self.limits.write_low_bytes)

    def data_received(self, data: bytes) -> None:
        """Bytes have come. Whatever fails here ends this connection, and only this one.

        The upgrade request comes before uvicorn has given us the transport: an error raised there would end
        that without ``connection_lost`` here, and uvicorn's stop would wait for us.
        """
        if self._unheard or (self._receiver is not None and len(data) > TURN_BYTES):
            self._transport.pause_reading()
            self._unheard += data
            self._take_turn()
        else:
            self._hear(data)

    def _take_turn(self) -> None:
        if self._turn is None:
            self._turn = self._loop.call_soon(self._go_on)

    def _go_on(self) -> None:
        """Hear some more of what has come; who is full waits until it has drained."""
        self._turn = None
        if self._full or self._transport.is_closing():
            return
        data, self._unheard = self._unheard[:TURN_BYTES], self._unheard[TURN_BYTES:]
        self._hear(data)
        if self._unheard:
            self._take_turn()
        else:
            self._read_on()

    def _read_on(self) -> None:
        if not self._full and not self._transport.is_closing():
            self._transport.resume_reading()

    def _hear(self, data: bytes) -> None:
        if self._dropping:
            self._drop(len(data))
            return
        try:
            self._receive(data)
        except Exception:
            log.exception("connection_failed", address=self.address)
            if self._core.state is OPEN:
                self._core.fail(CloseCode.INTERNAL_ERROR, "the server failed")
                self._flush()
            else:
                self.abort()

    def _receive(self, data: bytes) -> None:
        self._core.receive_data(data)
        if self._core.state is OPEN:
            self._flush()  # pongs go before the answers to what came after their pings
        for event in self._core.events_received():
            if isinstance(event, Request):
                self._handshake(event, len(data))
            elif isinstance(event, Frame):
                self._frame(event)
        self._flush()

    def eof_received(self) -> None:
        """The other side sends no more; the transport closes itself."""
        if not self._dropping:
            self._core.receive_eof()
            self._flush()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is over."""
        self._connections.discard(self)
        self._closing = True
        if self._timer is not None:
            self._timer.cancel()
        if self._receiver is not None:
            receiver, self._receiver = self._receiver, None
            closed = self._core.close_rcvd or self._core.close_sent
            receiver.lost(1006 if closed is None else int(closed.code))

    def pause_writing(self) -> None:
        """The transport is full."""
        self._full = True
        self._transport.pause_reading()
        if self._receiver is not None:
            self._receiver.full()

    def resume_writing(self) -> None:
        """The transport has drained."""
        self._full = False
        if self._unheard:
            self._take_turn()
        else:
            self._transport.resume_reading()
        if self._receiver is not None and not self._closing:
            self._receiver.drained()

    def shutdown(self) -> None:
        """The server stops: uvicorn calls this on every connection that is still open."""
        if self._receiver is None or self._dropping:
            self._transport.close()
        else:
            self.close(1012, "restart")

    # The receiver's side

    def write(self, framed: bytes) -> None:
        """Send what ``wrap`` has made. Who asks for more than it reads is aborted past ``unsent_bytes``.

        A full connection gets no pushes, but commands that it has sent before are answered all the same.
        """
        if self._closing:
            return
        self._transport.write(framed)
        if self._transport.get_write_buffer_size() > self.limits.unsent_bytes:
            log.warning("unread_replies", address=self.address)
            self.abort()

    def echo(self, data: bytes, *, text: bool) -> None:
        """Send a message back; for conformance tests."""
        if not self._closing:
            self._transport.write(Frame(Opcode.TEXT if text else Opcode.BINARY, data).serialize(mask=False))

    def unsent(self) -> int:
        """How many bytes wait for the kernel, which has no room while the other side does not read."""
        return self._transport.get_write_buffer_size()

    def ping(self) -> None:
        """Ask for a sign of life."""
        if self._core.state is OPEN:
            self._core.send_ping(b"")
            self._flush()

    def close(self, code: int, reason: str) -> None:
        """Begin the closing handshake; the other side has ``close_seconds`` to answer."""
        if self._core.state is OPEN and not self._closing:
            self._core.send_close(code, reason.encode()[:120].decode(errors="ignore"))
            self._flush()

    def abort(self) -> None:
        """End at once. uvicorn does not evict a reader that never reads; this does."""
        self._closing = True
        self._transport.abort()

    # The protocol

    def _handshake(self, request: Request, size: int) -> None:
        if size > self.limits.header_bytes:
            self._refuse(431, "The request's headers are too large.\n")
        elif request.path.partition("?")[0] != PATH:
            self._refuse(404, f"WebSockets are at {PATH}.\n")
        elif (
            refusal := self.entrance.refusal(request.headers, self._peer(), tls=self.config.is_ssl)
        ) is not None:
            log.warning("refused", status=refusal[0], reason=refusal[1], address=self._peer())
            self._refuse(refusal[0], f"{refusal[1]}\n")
        else:
            response = self._core.accept(request)
            self._core.send_response(response)
            if response.status_code == 101:
                self.address = self.entrance.address(request.headers, self._peer())
                self._flush()
                self._receiver = type(self).accept(self)

    def _peer(self) -> str:
        """The address at the other end of the TCP connection; empty for a Unix socket."""
        peer = self._transport.get_extra_info("peername")
        return str(peer[0]) if isinstance(peer, tuple) else ""

    def _refuse(self, status: int, text: str) -> None:
        self._core.send_response(self._core.reject(status, text))

    def _frame(self, frame: Frame) -> None:
        receiver = self._receiver
        if receiver is None or self._closing or self._failed:
            return
        opcode = frame.opcode
        if opcode is Opcode.TEXT and frame.fin:
            try:
                text = bytes(frame.data).decode()
            except UnicodeDecodeError:
                self._fail_text()
            else:
                receiver.text(text)
        elif opcode is Opcode.BINARY and frame.fin:
            receiver.binary(bytes(frame.data))
        elif opcode in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
            self._fragment(receiver, frame)
        else:
            receiver.heard()

    def _fragment(self, receiver: Receiver, frame: Frame) -> None:
        if frame.opcode is not Opcode.CONT:
            self._opcode = frame.opcode
            self._decoder.reset()
        if self._opcode is Opcode.BINARY:
            if frame.data:  # empty ones have no size, and there may be any number
                self._chunks.append(bytes(frame.data))
            if frame.fin:
                data, self._chunks = b"".join(self._chunks), []
                receiver.binary(data)
            return
        try:
            if text := self._decoder.decode(bytes(frame.data), frame.fin):
                self._texts.append(text)
        except UnicodeDecodeError:
            self._fail_text()
            return
        if frame.fin:
            text, self._texts = "".join(self._texts), []
            receiver.text(text)

    def _fail_text(self) -> None:
        """Close for text that is none; frames that came with it are no longer heard."""
        self._core.fail(CloseCode.INVALID_DATA, "not valid UTF-8")
        self._failed = True

    def _flush(self) -> None:
        """Write what the protocol has to say; an empty piece means that nothing comes after it."""
        if self._transport.is_closing():
            return
        pieces = self._core.data_to_send()
        if pieces:
            ends = not pieces[-1]
            data = b"".join(pieces)
            if data and not self._transport.is_closing():
                self._transport.write(data)
            if ends:
                self._closing = True
                self._end()
                return
        if self._core.close_expected():
            self._closing = True
            if self._timer is None:
                self._timer = self._loop.call_later(self.limits.close_seconds, self._transport.abort)

    def _end(self) -> None:
        """Say that nothing follows.

        Who is closed for what it sends, a frame too large say, may still be sending it. A socket that is
        closed with bytes unread is reset, and a browser that is reset tells 1006, not why. So its bytes are
        taken and dropped until it has heard, for ``close_seconds`` and ``dropped_bytes`` at most.
        """
        if self._receiver is None or self._core.close_rcvd is not None or not self._transport.can_write_eof():
            self._transport.close()
            return
        self._transport.write_eof()
        self._dropping = True
        if self._timer is None:
            self._timer = self._loop.call_later(self.limits.close_seconds, self._transport.abort)

    def _drop(self, size: int) -> None:
        self._dropped += size
        if self._dropped > self.limits.dropped_bytes:
            self._transport.abort()


def serving(limits: Limits, accept: Callable[[WebSocket], Receiver], entrance: Entrance) -> type[WebSocket]:
    """The protocol class for uvicorn's ``ws=``.

    Args:
        limits: the bounds.
        accept: makes the receiver of a connection whose handshake succeeded.
        entrance: says which requests may come in, and from where they come.
    """
    return type(
        "ServingWebSocket",
        (WebSocket,),
        {"limits": limits, "accept": staticmethod(accept), "entrance": entrance},
    )
