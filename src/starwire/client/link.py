"""One connection after another: opens a socket, says hello, and comes back as the table of close codes says.

After the time that the server advised, or with jittered backoff, or with a new token, or not at all. What the
frames mean is the client's business; next hop ``client.py``.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol
from urllib.parse import urlsplit

import msgspec
import structlog
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidURI
from websockets.typing import Subprotocol

from starwire.client.accounts import Tokens
from starwire.client.errors import AuthError
from starwire.client.frames import backoff
from starwire.errors import CLOSE_CODES, ConfigurationError
from starwire.protocol import SUBPROTOCOL

HELLO_SECONDS = 15.0  # from the first byte to the answered hello
PING_SECONDS = 20.0
REFUSED_SECONDS = 2.0  # from a refused hello to the close code that says what to do
GOODBYE_SECONDS = 30.0  # to close after goodbye
STABLE_SECONDS = 5.0  # open this long, the next loss starts the backoff anew
REFUSALS = 3  # of a token that was renewed just before
LATER_SECONDS = 30.0  # at least, when the server has had too much of us
FRAME_BYTES = 16 * 1024 * 1024  # of one frame of the server
CLOSED_BY_US = 1000
LOOPBACK = {"127.0.0.1", "::1", "localhost"}
log = structlog.get_logger("starwire.client")


class Reconnect(Exception):
    """This connection is given up, for another."""


class Receiver(Protocol):
    """Who is told what happens on the link."""

    def hello_args(self) -> dict[str, Any]:
        """Where to go on."""
        ...

    def opened(self, result: dict[str, Any], asked_at: float) -> None:
        """Hello, said at ``asked_at`` by this machine's clock, was answered."""
        ...

    def frame(self, frame: dict[str, Any]) -> None:
        """A frame arrived. Raising ``Reconnect`` gives the connection up."""
        ...

    def lost(self) -> None:
        """The connection is gone."""
        ...


@dataclass(frozen=True, slots=True)
class Ended:
    """How a connection ended, and what comes next: seconds to wait, or None for never."""

    why: str
    wait: float | None


def socket_url(url: str) -> str:
    """The socket of a server named by its page's address or by the socket's own."""
    parts = urlsplit(url)
    scheme = {"http": "ws", "https": "wss"}.get(parts.scheme, parts.scheme)
    if scheme not in {"ws", "wss"} or not parts.netloc:
        raise ConfigurationError(f"the server is {url!r}; it must be like http://127.0.0.1:8000")
    path = parts.path if parts.path not in {"", "/"} else "/ws"
    return f"{scheme}://{parts.netloc}{path}"


class Link:
    """Runs connections until it is told to stop, or refused for good."""

    def __init__(
        self, url: str, tokens: Tokens, receiver: Receiver, next_id: Callable[[], str], source: random.Random
    ) -> None:
        self._url = socket_url(url)
        self._tokens = tokens
        self._receiver = receiver
        self._next_id = next_id
        self._source = source
        self._outgoing: asyncio.Queue[str] | None = None
        self._advised: float | None = None
        self._opened_at: float | None = None
        self._attempt = 0
        self._refusals = 0
        self._stale: str | None = None
        self.token = ""
        """The access token that the server was given last, by hello or refresh."""
        self.why = "the server was not reached yet"
        """How the last connection ended."""

    def send(self, text: str) -> bool:
        """Hand a frame to the connection, in order; False when there is none."""
        if self._outgoing is None:
            return False
        self._outgoing.put_nowait(text)
        return True

    async def run(self) -> str:
        """Connect, again and again; returns why not any more."""
        while True:
            ended = await self._connection()
            self.why = ended.why
            if ended.wait is None:
                return ended.why
            log.debug("reconnecting", why=ended.why, wait=round(ended.wait, 3))
            await asyncio.sleep(ended.wait)

    async def _connection(self) -> Ended:
        """One connection, from the token to the end."""
        self._advised = self._opened_at = None
        try:
            self.token = await (
                self._tokens.fresh() if self._stale is None else self._tokens.renew(self._stale)
            )
            self._stale = None
            proxy: Literal[True] | None = None if urlsplit(self._url).hostname in LOOPBACK else True
            async with connect(
                self._url,
                subprotocols=[Subprotocol(SUBPROTOCOL)],
                compression=None,
                max_size=FRAME_BYTES,
                open_timeout=HELLO_SECONDS,
                ping_interval=PING_SECONDS,
                ping_timeout=PING_SECONDS,
                close_timeout=1.0,
                proxy=proxy,
            ) as socket:
                async with asyncio.timeout(HELLO_SECONDS):
                    await self._greet(socket)
                self._opened_at = asyncio.get_running_loop().time()
                try:
                    await self._receive(socket)
                except asyncio.CancelledError:
                    await socket.close()  # with 1000; leaving by an exception would say that we have failed
                    raise
        except AuthError as error:
            if error.final:
                return Ended(f"unauthorized: {error.message}", None)
            return self._retry(str(error), error.retry_after or 0.0)
        except InvalidURI as error:
            return Ended(str(error), None)
        except Reconnect as reason:
            return self._retry(str(reason))
        except ConnectionClosed as error:
            return self._closed(CLOSED_BY_US if error.rcvd is None else error.rcvd.code)
        except (OSError, TimeoutError, InvalidHandshake, msgspec.DecodeError) as error:
            return self._again(str(error) or type(error).__name__)
        finally:
            self._outgoing = None
            self._receiver.lost()
        return self._again("lost")

    async def _greet(self, socket: ClientConnection) -> None:
        """Say hello and wait for the answer; a refusal is followed by a close code, which says what to do."""
        id = self._next_id()
        args = {"token": self.token, **self._receiver.hello_args()}
        asked_at = time.time()
        await socket.send(msgspec.json.encode({"id": id, "command": "hello", "args": args}).decode())
        while True:
            frame = msgspec.json.decode(await socket.recv())
            if frame.get("type") == "reply" and frame.get("id") == id:
                if not frame["ok"]:
                    await self._refused(socket, frame)
                self._outgoing = asyncio.Queue()
                self._receiver.opened(frame["result"], asked_at)
                return
            if frame.get("type") == "goodbye":
                self._advised = frame.get("reconnect_after")

    async def _refused(self, socket: ClientConnection, frame: dict[str, Any]) -> None:
        """Raises what the socket was closed with; a server that does not close is left."""
        try:
            async with asyncio.timeout(REFUSED_SECONDS):
                await socket.wait_closed()
        except TimeoutError:
            raise Reconnect(f"hello: {frame.get('error', {}).get('message')}") from None
        await socket.recv()

    async def _receive(self, socket: ClientConnection) -> None:
        loop = asyncio.get_running_loop()
        writing = loop.create_task(self._write(socket))
        try:
            async with asyncio.timeout(None) as deadline:
                while True:
                    frame = msgspec.json.decode(await socket.recv())
                    if frame.get("type") == "goodbye":
                        self._advised = frame.get("reconnect_after")
                        deadline.reschedule(loop.time() + GOODBYE_SECONDS)
                    self._receiver.frame(frame)
        finally:
            writing.cancel()

    async def _write(self, socket: ClientConnection) -> None:
        outgoing = self._outgoing
        assert outgoing is not None  # noqa: S101 -- made at hello
        try:
            while True:
                await socket.send(await outgoing.get())
        except ConnectionClosed:
            pass  # who receives is told too

    def _closed(self, code: int) -> Ended:
        rule = CLOSE_CODES.get(code)
        why = "lost" if rule is None else rule.name
        reconnect = "backoff" if rule is None else rule.reconnect
        if reconnect == "never":
            return Ended(f"{why} ({code})", None)
        if reconnect == "new_token":
            self._stale = self.token
            self._refusals = 1 if self._lasted() else self._refusals + 1
            if self._refusals > REFUSALS:
                return Ended("unauthorized: the server refuses every token", None)
            return Ended(why, 0.0) if self._refusals == 1 else self._retry(why)
        if reconnect == "later":
            return Ended(why, LATER_SECONDS * (1 + self._source.random()))
        return self._again(why)

    def _again(self, why: str) -> Ended:
        """At the advised time, also when the server died before it could close; else after a backoff."""
        if self._advised is None:
            return self._retry(why)
        self._attempt = 0  # a server that says when to come back is no reason to stay away
        return Ended(why, max(0.0, self._advised))

    def _retry(self, why: str, least: float = 0.0) -> Ended:
        if self._lasted():
            self._attempt = 0
        wait = least + backoff(self._attempt, self._source)
        self._attempt += 1
        return Ended(why, wait)

    def _lasted(self) -> bool:
        now = asyncio.get_running_loop().time()
        return self._opened_at is not None and now - self._opened_at >= STABLE_SECONDS
