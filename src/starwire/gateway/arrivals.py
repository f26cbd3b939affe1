"""TCP connections until they are sockets, and those that never become any: uvicorn's HTTP, with deadlines.

uvicorn waits for the rest of a request for ever, and takes headers without end. Here a request has its time,
counted from the connection or from the last answer, and for a body as long as its size takes at a modest
rate; headers have a size; an answer that nobody reads has its time too. Connections without a whole request
are bounded: past the bound the one that has waited longest makes room, so that whoever sends its request at
once gets in though others hold their lines.

There is no timer for a connection: ``check`` is called each second and looks at all. Next hop of an upgrade:
``websocket.py``; of everything else: ``http.py``.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Any, ClassVar

import structlog
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from starwire.clock import Clock
from starwire.limits import Limits

log = structlog.get_logger("starwire.gateway")


class Arrivals:
    """All connections of a gateway that speak HTTP. Everything runs on the event loop."""

    def __init__(self, limits: Limits, clock: Clock) -> None:
        self.limits = limits
        self.clock = clock
        self.open: set[Arrival] = set()
        self.waiting: dict[Arrival, None] = {}
        """Those whose request is not whole yet, whoever has waited longest first."""

    def protocol(self) -> type[Arrival]:
        """The protocol class for uvicorn's ``http=``."""
        return type("ServingArrival", (Arrival,), {"arrivals": self})

    def check(self) -> None:
        """Keep the deadlines of requests and of answers that nobody reads. Called each second."""
        now = self.clock.monotonic()
        for each in list(self.open):
            each.check(now)

    def make_room(self) -> None:
        """Put out whoever has waited longest, while there are too many."""
        while len(self.waiting) > self.limits.requests:
            oldest = next(iter(self.waiting))
            del self.waiting[oldest]
            log.warning("request_put_out", address=oldest.address)
            oldest.transport.abort()


class Arrival(HttpToolsProtocol):
    """One connection that speaks HTTP. Subclass by ``Arrivals.protocol``."""

    arrivals: ClassVar[Arrivals]

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._until = 0.0
        self._unread: tuple[int, float] | None = None
        self._begun = False
        self._in_line = False
        self._told = False
        self._head_bytes = 0
        self._unparsed_bytes = 0

    @property
    def address(self) -> str:
        """The other end of the TCP connection, for the log."""
        return self.client[0] if self.client else ""

    # asyncio's side

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A request must come within its time."""
        super().connection_made(transport)
        limits = self.arrivals.limits
        self.arrivals.open.add(self)
        if len(self.connections) > limits.connections + limits.requests:
            log.warning("too_many_connections", address=self.address)
            transport.abort()
        else:
            self._await_request()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is over."""
        self._leave()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Bytes have come. The parser tells nothing of a line that does not end: it is counted here."""
        self._told = False
        super().data_received(data)
        if not self._told:
            self._unparsed_bytes += len(data)
        else:
            end = data.rfind(b"\n")  # without one it was a piece of the address, which is told in pieces
            self._unparsed_bytes = len(data) - end - 1 if self._in_line and end >= 0 else 0
        if self._unparsed_bytes > self._head_room() and not self.transport.is_closing():
            self.send_400_response("A line of the request is too long.")

    def handle_websocket_upgrade(self) -> None:
        """Hand the transport over; from here on the hub keeps its deadlines."""
        self._leave()
        super().handle_websocket_upgrade()

    # The parser's side

    def on_message_begin(self) -> None:
        """The first bytes of a request have come."""
        self._begun = self._in_line = self._told = True
        if self not in self.arrivals.waiting:  # it came behind another, which is being answered
            self._await_request()
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """A piece of the address."""
        self._count_head(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or what stands like one behind a body."""
        self._count_head(len(name) + len(value) + 4)  # with colon, space and the line's end
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The headers are whole. Of requests that come before the last is answered there are not many."""
        self._told = True
        if len(self.pipeline) >= self.arrivals.limits.pipelined_requests:
            raise ValueError("too many")  # the parser stops, and uvicorn calls send_400_response
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A piece of a body, which gives time for the next."""
        self._told, self._in_line = True, False
        self._until += len(body) / self.arrivals.limits.body_bytes_per_second
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is whole."""
        self._told, self._in_line, self._begun = True, False, False
        self._head_bytes = 0
        self.arrivals.waiting.pop(self, None)
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """The answer is written; the next request must come within its time."""
        super().on_response_complete()
        if not self.pipeline and self not in self.arrivals.waiting and not self.transport.is_closing():
            self._await_request()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no request, or one whose headers are too large."""
        if self._head_room() < 0 or self._unparsed_bytes > self._head_room():
            self._end(431, "The request's headers are too large.")
        else:
            super().send_400_response(msg)

    def _count_head(self, size: int) -> None:
        self._told = True
        self._head_bytes += size
        if self._head_room() < 0:
            raise ValueError("too large")  # the parser stops, and uvicorn calls send_400_response

    def _head_room(self) -> int:
        return self.arrivals.limits.header_bytes - self._head_bytes

    # Deadlines

    def check(self, now: float) -> None:
        """End what takes too long."""
        if self.transport.is_closing() or self.flow.write_paused:
            self._check_reading(now)
            return
        self._unread = None
        if self.flow.read_paused:
            self._until = now + self.arrivals.limits.request_seconds  # it is we who do not read
        elif self in self.arrivals.waiting and now > self._until:
            log.info("request_too_slow", address=self.address)
            answering = self.cycle is not None and not self.cycle.response_complete  # type: ignore[redundant-expr]
            if self._begun and not answering:
                self._end(408, "The request did not come in time.")
            else:
                self.transport.close()

    def _check_reading(self, now: float) -> None:
        """An answer is to be read at a modest rate; who has stopped is given up after a while."""
        limits = self.arrivals.limits
        size = self.transport.get_write_buffer_size()
        latest = now + limits.stalled_seconds
        before, until = self._unread or (size, latest)
        until = min(latest, until + max(0, before - size) / limits.body_bytes_per_second)
        self._unread = (size, until)
        if now > until:
            log.info("answer_not_read", address=self.address)
            self.transport.abort()

    def _await_request(self) -> None:
        self._until = self.arrivals.clock.monotonic() + self.arrivals.limits.request_seconds
        self.arrivals.waiting[self] = None
        self.arrivals.make_room()

    def _end(self, status: int, sentence: str) -> None:
        text = f"{sentence}\n".encode()
        self.transport.write(
            b"HTTP/1.1 %d %b\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n"
            b"Content-Length: %d\r\n\r\n%b" % (status, HTTPStatus(status).phrase.encode(), len(text), text)
        )
        self.transport.close()

    def _leave(self) -> None:
        self.arrivals.open.discard(self)
        self.arrivals.waiting.pop(self, None)
