"""The load: N guests, each with one command in flight, for S seconds; one line of JSON at the end.

An OS process of its own, and a cheap one, because it shares the machine with what it measures: the frames are
made and read by hand (a mask of four zeros is a mask, and leaves the payload as it is), and an answer is
looked at only as far as needed to tell a reply from a push and a success from an error.

It measures from the outside only. What comes within the first second is left out: connections, plans of
statements and interpreters are warm then. The CPU time of the servers is read from /proc at the same two
moments; each ``--watch`` names a role and the OS processes that play it, descendants included.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import time
import urllib.parse
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple, cast

TICKS = os.sysconf("SC_CLK_TCK")
UPGRADE = (
    "GET /ws HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: c2l4dGVlbiBieXRlcyBvaw==\r\n"
    "Sec-WebSocket-Protocol: starwire.v1\r\n\r\n"
)
GUEST = (
    "POST /auth/guest HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
    "Content-Length: 2\r\n\r\n{{}}"
)


class Guest(asyncio.Protocol):
    """One connection: says hello, then sends the next command whenever it has the reply to the last."""

    def __init__(self, load: Load, number: int, token: str) -> None:
        self.welcome: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.pushes = 0
        self._load = load
        self._prefix = f"load{os.getpid()}-{number}"
        self._token = token
        self._buffer = b""
        self._open = False
        self._sent = 0
        self._sent_at = 0.0
        self._transport: asyncio.WriteTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the WebSocket."""
        self._transport = cast(asyncio.WriteTransport, transport)  # uvloop's has another base
        self._transport.write(UPGRADE.format(host=self._load.host).encode())

    def connection_lost(self, exc: Exception | None) -> None:
        """Nobody hangs up here, so this is an error."""
        if not self.welcome.done():
            self.welcome.set_exception(ConnectionError(f"the server hung up: {exc}"))
        self._load.failed("connection lost")

    def data_received(self, data: bytes) -> None:
        """Take the frames that are whole."""
        buffer = self._buffer + data if self._buffer else data
        if not self._open:
            head, separator, buffer = buffer.partition(b"\r\n\r\n")
            if not separator:
                self._buffer = head
                return
            if b" 101 " not in head[:20]:
                self.welcome.set_exception(ConnectionError(head.decode(errors="replace")))
                return
            self._open = True
            self._send(b'{"id":"hello","command":"hello","args":{"token":"%b"}}' % self._token.encode())
        at = 0
        while (frame := _frame(buffer, at)) is not None:
            opcode, start, at = frame
            if opcode == 1:
                self._take(buffer[start:at])
            elif opcode == 8:
                self._load.failed(f"closed: {buffer[start:at]!r}")
        self._buffer = buffer[at:]

    def plant(self) -> None:
        """Send the next command."""
        self._sent += 1
        self._sent_at = time.perf_counter()
        self._send(
            b'{"id":"%b-%d","command":"plant","args":{"seconds":%d}}'
            % (self._prefix.encode(), self._sent, self._load.due)
        )

    def abort(self) -> None:
        """Be gone."""
        self._transport.abort()

    def _take(self, payload: bytes) -> None:
        kind = payload[:20]
        if b'"push"' in kind:
            self.pushes += 1
        elif b'"reply"' in kind:
            failure = None if b'"ok":true' in payload[:160] else payload[:300].decode(errors="replace")
            if not self.welcome.done():
                self.welcome.set_result(None)
                if failure:
                    self._load.failed(failure)
                return
            self._load.answered(self._sent_at, failure)
            if self._load.running:
                self.plant()

    def _send(self, payload: bytes) -> None:
        size = len(payload)
        head = bytes((0x81, 0x80 | size)) if size < 126 else b"\x81\xfe" + size.to_bytes(2, "big")
        self._transport.write(head + b"\0\0\0\0" + payload)


def _frame(buffer: bytes, at: int) -> tuple[int, int, int] | None:
    """The frame that begins at ``at``: opcode, start of its payload, end; None when it is not whole."""
    have = len(buffer) - at
    if have < 2:
        return None
    size, head = buffer[at + 1] & 0x7F, 2
    if size >= 126:
        head = 4 if size == 126 else 10
        if have < head:
            return None
        size = int.from_bytes(buffer[at + 2 : at + head], "big")
    if have < head + size:
        return None
    return buffer[at] & 0x0F, at + head, at + head + size


class Watch(NamedTuple):
    """OS processes that play one role."""

    role: str
    pids: tuple[int, ...]

    @classmethod
    def read(cls, text: str) -> Watch:
        """``worker=12,34``."""
        role, _, pids = text.partition("=")
        return cls(role, tuple(int(pid) for pid in pids.split(",")))


def cpu_seconds(pids: Iterable[int]) -> float:
    """What these OS processes and all their descendants have used, the dead ones included."""
    own: dict[int, int] = {}
    dead: dict[int, int] = {}
    children: dict[int, list[int]] = {}
    for file in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, _, rest = file.read_text().rpartition(")")
        except (FileNotFoundError, ProcessLookupError):
            continue
        fields, pid = rest.split(), int(name.split()[0])
        own[pid] = int(fields[11]) + int(fields[12])
        dead[pid] = int(fields[13]) + int(fields[14])
        children.setdefault(int(fields[1]), []).append(pid)
    total, queue = 0, list(pids)
    while queue:
        pid = queue.pop()
        total += own.get(pid, 0) + dead.get(pid, 0)
        queue += children.get(pid, [])
    return total / TICKS


class Load:
    """All guests of one run, and what they have seen."""

    def __init__(self, url: str, clients: int, due: int) -> None:
        parts = urllib.parse.urlsplit(url)
        self.host = parts.netloc
        self.due = due
        self.running = False
        self._address = (parts.hostname or "127.0.0.1", parts.port or 80)
        self._clients = clients
        self._measuring = False
        self._latencies: list[float] = []
        self._errors: dict[str, int] = {}

    def answered(self, sent_at: float, failure: str | None) -> None:
        """A command has its reply."""
        if failure is not None:
            self.failed(failure)
        elif self._measuring:
            self._latencies.append(time.perf_counter() - sent_at)

    def failed(self, what: str) -> None:
        """Count what went wrong, unless it is over."""
        if self.running or not self._measuring:
            self._errors[what] = self._errors.get(what, 0) + 1

    async def run(self, seconds: float, warm_up: float, watched: list[Watch]) -> dict[str, object]:
        """Connect everybody, warm up, measure."""
        loop = asyncio.get_running_loop()
        guests = []
        for number, token in enumerate(await self._tokens()):
            _, guest = await loop.create_connection(_maker(self, number, token), *self._address)
            guests.append(guest)
        async with asyncio.timeout(30):
            await asyncio.gather(*(guest.welcome for guest in guests))
        self.running = True
        for guest in guests:
            guest.plant()
        await asyncio.sleep(warm_up)
        before = {each.role: cpu_seconds(each.pids) for each in watched}
        mine, pushes = time.process_time(), sum(guest.pushes for guest in guests)
        started, self._measuring = time.perf_counter(), True
        await asyncio.sleep(seconds)
        lasted, self.running = time.perf_counter() - started, False
        mine, pushes = time.process_time() - mine, sum(guest.pushes for guest in guests) - pushes
        after = {each.role: cpu_seconds(each.pids) for each in watched}
        for guest in guests:
            guest.abort()
        cpu = {role: after[role] - before[role] for role in before}
        return self._report(lasted, pushes, mine, cpu)

    def _report(self, lasted: float, pushes: int, mine: float, cpu: dict[str, float]) -> dict[str, object]:
        count = len(self._latencies)
        cuts = statistics.quantiles(self._latencies, n=100) if count > 1 else [0.0] * 99
        return {
            "clients": self._clients,
            "seconds": round(lasted, 3),
            "commands": count,
            "per_second": round(count / lasted, 1),
            "pushes": pushes,
            "p50_ms": round(cuts[49] * 1e3, 3),
            "p95_ms": round(cuts[94] * 1e3, 3),
            "p99_ms": round(cuts[98] * 1e3, 3),
            "errors": self._errors,
            "server_cpu_us": {role: round(used / max(1, count) * 1e6, 1) for role, used in cpu.items()},
            "load_cpu_us": round(mine / max(1, count) * 1e6, 1),
        }

    async def _tokens(self) -> list[str]:
        """A guest each, over one connection."""
        reader, writer = await asyncio.open_connection(*self._address)
        tokens = []
        for _ in range(self._clients):
            writer.write(GUEST.format(host=self.host).encode())
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            size = int(head.split("content-length:")[1].split("\r\n")[0])
            body = json.loads(await reader.readexactly(size))
            if "access_token" not in body:
                raise SystemExit(f"no guest: {head}{body}")
            tokens.append(str(body["access_token"]))
        writer.close()
        return tokens


def _maker(load: Load, number: int, token: str) -> Callable[[], Guest]:
    return lambda: Guest(load, number, token)


def main() -> None:
    """Run as its arguments say and print what was seen."""
    parser = argparse.ArgumentParser(description="Load a server with commands and measure it.")
    parser.add_argument("--url", required=True, help="http://HOST:PORT")
    parser.add_argument("--clients", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--warm-up", type=float, default=1.0)
    parser.add_argument("--due", type=int, default=36_000, help="seconds until what is planted is ripe")
    parser.add_argument("--watch", type=Watch.read, action="append", default=[], metavar="ROLE=PID,PID")
    arguments = parser.parse_args()
    load = Load(arguments.url, arguments.clients, arguments.due)
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        seen = runner.run(load.run(arguments.seconds, arguments.warm_up, arguments.watch))
    print(json.dumps(seen))


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    try:
        import uvloop  # noqa: PLC0415 - it is not there on every platform
    except ImportError:
        return asyncio.new_event_loop
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


if __name__ == "__main__":
    main()
