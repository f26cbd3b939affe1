"""Every way in which the Python client loses a connection, at a server that says what a test tells it to."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from starwire.client import Client
from starwire.client import link as links
from starwire.client.accounts import Tokens
from starwire.client.link import Ended, Link
from starwire.protocol import SUBPROTOCOL

HELLO = {"player": "1", "name": "Ann", "epoch": "e", "server_time": "2030-01-01T00:00:00Z", "streams": {}}


class Script:
    """A server: answers hello and ping, then says ``says``, then closes with ``code``, or never."""

    def __init__(self, *says: dict[str, Any], code: int | None = None, refuses: bool = False) -> None:
        self.says = says
        self.code = code
        self.refuses = refuses
        self.hellos: list[dict[str, Any]] = []
        self.streams: dict[str, Any] = {}
        self.url = ""

    async def serve(self, socket: ServerConnection) -> None:
        try:
            async for text in socket:
                frame = msgspec.json.decode(text)
                if frame["command"] == "hello":
                    self.hellos.append(frame["args"])
                    await self.greet(socket, frame["id"])
        except ConnectionClosed:
            pass

    async def greet(self, socket: ServerConnection, id: str) -> None:
        ok = {"ok": True, "result": {**HELLO, "streams": self.streams}}
        no = {"ok": False, "error": {"code": "unavailable", "message": "No.", "retry": True}}
        for frame in ({"type": "reply", "id": id, **(no if self.refuses else ok)}, *self.says):
            await socket.send(msgspec.json.encode(frame).decode())
        if self.code == 1006:
            socket.transport.abort()
        elif self.code is not None:
            await socket.close(self.code)


@asynccontextmanager
async def scripted(script: Script) -> AsyncIterator[Script]:
    async with serve(script.serve, "127.0.0.1", 0, subprotocols=[Subprotocol(SUBPROTOCOL)]) as server:
        script.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield script


class Deaf:
    """A receiver that does nothing."""

    def hello_args(self) -> dict[str, Any]:
        return {}

    def opened(self, result: dict[str, Any], asked_at: float) -> None: ...

    def frame(self, frame: dict[str, Any]) -> None: ...

    def lost(self) -> None: ...


class Most(random.Random):
    """Always draws (nearly) the most there is."""

    def random(self) -> float:
        return 1.0


def link_to(url: str, source: Callable[[], str] = lambda: "a token") -> Link:
    return Link(url, Tokens(source, url), Deaf(), lambda: "p-1", Most())


async def ended(script: Script) -> Ended:
    async with scripted(script):
        return await link_to(script.url)._connection()


GOODBYE = {"type": "goodbye", "reason": "restart", "reconnect_after": 3.2}


@pytest.mark.parametrize(
    ("code", "says", "expected"),
    [
        (1012, (GOODBYE,), Ended("restart", 3.2)),
        (1001, (GOODBYE,), Ended("going_away", 3.2)),
        (1006, (GOODBYE,), Ended("lost", 3.2)),
        (1012, (), Ended("restart", 0.5)),
        (1009, (), Ended("too_big", 0.5)),
        (1006, (), Ended("lost", 0.5)),
        (4408, (), Ended("no_hello", 0.5)),
        (4400, (), Ended("abuse", 60.0)),
        (4429, (), Ended("too_many_connections", 60.0)),
        (4429, (GOODBYE,), Ended("too_many_connections", 60.0)),
        (4401, (), Ended("token_expired", 0.0)),
        (4403, (), Ended("refused (4403)", None)),
        (4999, (), Ended("lost", 0.5)),
    ],
)
async def test_each_close_code_says_when_to_come_back(
    code: int, says: tuple[dict[str, Any], ...], expected: Ended
) -> None:
    assert await ended(Script(*says, code=code)) == expected


async def test_waits_grow_to_their_bound_and_begin_anew_after_a_connection_that_lasted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with scripted(Script(code=1006)) as script:
        link = link_to(script.url)
        waits = [(await link._connection()).wait for _ in range(9)]
        assert waits == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]
        monkeypatch.setattr(links, "STABLE_SECONDS", 0.0)
        assert (await link._connection()).wait == 0.5


async def test_a_server_that_says_goodbye_and_never_closes_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(links, "GOODBYE_SECONDS", 0.05)
    assert (await ended(Script(GOODBYE))).wait == 3.2


async def test_a_server_that_refuses_hello_and_never_closes_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(links, "REFUSED_SECONDS", 0.05)
    assert await ended(Script(refuses=True)) == Ended("hello: No.", 0.5)


async def test_a_server_that_went_silent_is_noticed_by_its_missing_pongs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(links, "PING_SECONDS", 0.05)
    silent = asyncio.Event()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A cable that carries the first two answers, the handshake's and hello's, and no other."""
        back_reader, back = await asyncio.open_connection("127.0.0.1", int(script.url.rpartition(":")[2]))

        async def there() -> None:
            while data := await reader.read(65_536):
                back.write(data)

        carrying = asyncio.ensure_future(there())
        seen = b""
        while b"server_time" not in seen:
            data = await back_reader.read(65_536)
            seen += data
            writer.write(data)
        await silent.wait()
        carrying.cancel()
        back.close()
        writer.close()

    async with scripted(Script()) as script, await asyncio.start_server(accept, "127.0.0.1", 0) as cable:
        port = cable.sockets[0].getsockname()[1]
        assert (await link_to(f"http://127.0.0.1:{port}")._connection()).why == "lost"
        silent.set()


@pytest.mark.parametrize("refuses", [True, False], ids=["at hello", "right after hello"])
async def test_a_token_that_is_refused_again_and_again_is_the_end(refuses: bool) -> None:
    given = iter(range(100))
    async with scripted(Script(code=4401, refuses=refuses)) as script:
        link = link_to(script.url, lambda: f"token {next(given)}")
        endings = [await link._connection() for _ in range(4)]
    assert [each.wait for each in endings] == [0.0, 0.5, 1.0, None]
    assert len({hello["token"] for hello in script.hellos}) == 4


async def test_streams_beyond_the_servers_bound_are_left_out_of_hello() -> None:
    script = Script(code=1006)
    script.streams = {f"s{number}": {"offset": 5, "recovered": True} for number in range(300)}
    async with scripted(script):
        client = Client(script.url, token="good", resume=("e", dict.fromkeys(script.streams, 5)))
        await client.connect()
        await client.close()
    assert len(script.hellos[0]["resume"]) == 256


async def test_what_kept_the_client_from_connecting_is_said() -> None:
    async with scripted(Script(code=4429, refuses=True)) as script:
        with pytest.raises(TimeoutError, match=r"no connection within 0\.3 s: too_many_connections"):
            async with Client(script.url, token="x", connect_timeout=0.3):
                pass
