"""One connection after another: opens a socket, says hello, and comes back as the table of close codes says.

After the time that the server advised, or with jittered backoff, or with a new token, or not at all. What the
frames mean is the client's business; next hop ``client.py``.
"""

from __future__ import annotations

import asyncio
import random
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
STABLE_SECONDS = 5.0  # open this long, the next loss starts the backoff anew
REFUSALS = 3  # of a token that was renewed just before
STAY_AWAY_SECONDS = 30.0  # at least, when there are too many of us
FRAME_BYTES = 16 * 1024 * 1024  # of one frame of the server
TOO_MANY = 4429
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

    def opened(self, result: dict[str, Any]) -> None:
        """Hello was answered."""
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
        self._attempt = 0
        self._refusals = 0
        self._stale: str | None = None
        self._token = ""

    @property
    def token(self) -> str:
        """The access token used last."""
        return self._token

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
            if ended.wait is None:
                return ended.why
            log.debug("reconnecting", why=ended.why, wait=round(ended.wait, 3))
            await asyncio.sleep(ended.wait)

    async def _connection(self) -> Ended:
        """One connection, from the token to the end."""
        loop = asyncio.get_running_loop()
        self._advised = None
        opened_at: float | None = None
        try:
            self._token = await (
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
                opened_at = loop.time()
                self._refusals = 0
                await self._receive(socket)
        except AuthError as error:
            if error.final:
                return Ended(f"unauthorized: {error.message}", None)
            return self._retry(str(error), error.retry_after or 0.0)
        except InvalidURI as error:
            return Ended(str(error), None)
        except Reconnect as reason:
            return self._retry(str(reason))
        except ConnectionClosed as error:
            if opened_at is not None and loop.time() - opened_at >= STABLE_SECONDS:
                self._attempt = 0
            return self._closed(CLOSED_BY_US if error.rcvd is None else error.rcvd.code)
        except (OSError, TimeoutError, InvalidHandshake) as error:
            return self._retry(str(error) or type(error).__name__)
        finally:
            self._outgoing = None
            self._receiver.lost()
        return self._retry("lost")

    async def _greet(self, socket: ClientConnection) -> None:
        """Say hello and wait for the answer; a refusal is followed by a close code, which says what to do."""
        id = self._next_id()
        args = {"token": self._token, **self._receiver.hello_args()}
        await socket.send(msgspec.json.encode({"id": id, "command": "hello", "args": args}).decode())
        while True:
            frame = msgspec.json.decode(await socket.recv())
            if frame.get("type") == "reply" and frame.get("id") == id:
                if not frame["ok"]:
                    await socket.wait_closed()
                    await socket.recv()  # raises what it was closed with
                self._outgoing = asyncio.Queue()
                self._receiver.opened(frame["result"])
                return
            if frame.get("type") == "goodbye":
                self._advised = frame.get("reconnect_after")

    async def _receive(self, socket: ClientConnection) -> None:
        writing = asyncio.get_running_loop().create_task(self._write(socket))
        try:
            while True:
                frame = msgspec.json.decode(await socket.recv())
                if frame.get("type") == "goodbye":
                    self._advised = frame.get("reconnect_after")
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
            self._stale = self._token
            self._refusals += 1
            if self._refusals > REFUSALS:
                return Ended("unauthorized: the server refuses every token", None)
            return Ended(why, 0.0) if self._refusals == 1 else self._retry(why)
        if reconnect == "advised" and self._advised is not None:
            self._attempt = 0  # a server that says when to come back is no reason to stay away
            return Ended(why, max(0.0, self._advised))
        return self._retry(why, STAY_AWAY_SECONDS if code == TOO_MANY else 0.0)

    def _retry(self, why: str, least: float = 0.0) -> Ended:
        wait = least + backoff(self._attempt, self._source)
        self._attempt += 1
        return Ended(why, wait)
