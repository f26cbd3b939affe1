"""An orderly stop: everyone is told, what was taken is answered, and a second signal ends it at once."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from tests.contract.harness import Client, Gate, eventually
from tests.support.machine import REPOSITORY

SERVE = "from starwire.cli import main; main()"


@dataclass
class Running:
    """A server in an OS process of its own."""

    process: subprocess.Popen[bytes]
    data: Path
    log: Path

    async def url(self) -> str:
        file = self.data / "server.json"
        await eventually(lambda: file.exists() and file.stat().st_size, "the server's file")
        return str(msgspec.json.decode(file.read_bytes())["url"])

    async def connect(self, player: str) -> Client:
        url = (await self.url()).replace("http", "ws", 1) + "/ws"
        client = Client(await connect(url, subprotocols=[Subprotocol("starwire.v1")]), player)
        client.read()
        await client.command("hello", token=player)
        return client

    async def ended(self) -> int:
        await eventually(lambda: self.process.poll() is not None, "the end of the OS process")
        return self.process.wait()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Running]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("STARWIRE_")}
    arguments = ["serve", "--app", "tests.contract.served:app", "--dev", "--port", "0"]
    log = tmp_path / "log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-c", SERVE, *arguments, "--data", str(tmp_path / "data")],
            cwd=REPOSITORY,
            env=environment,
            stdout=file,
            stderr=file,
        )
    yield Running(process, tmp_path / "data", log)
    process.kill()
    process.wait()


async def test_on_a_signal_everyone_is_told_when_to_come_back_and_the_exit_is_clean(server: Running) -> None:
    clients = [await server.connect(name) for name in ("ann", "bob", "cid")]
    server.process.send_signal(signal.SIGTERM)
    advised = set()
    for client in clients:
        goodbye = await client.told("goodbye")
        assert goodbye["reason"] == "restart"
        assert 1.0 <= goodbye["reconnect_after"] <= 5.0
        advised.add(goodbye["reconnect_after"])
        assert await client.told_to_leave() == (1012, "restart")
    assert len(advised) > 1, "all are told the same moment, and will come at once"
    assert await server.ended() == 0
    assert not (server.data / "server.json").exists()
    assert "Traceback" not in server.log.read_text()


async def test_what_was_taken_is_answered_before_the_end(server: Running, tmp_path: Path) -> None:
    ann, gate = await server.connect("ann"), Gate(tmp_path, 0)
    id = await ann.order("note", text="taken", gate=str(gate))
    await gate.reached()
    server.process.send_signal(signal.SIGTERM)
    await ann.told("goodbye")
    assert ann.replies(id) == []
    gate.open()
    assert (await ann.reply(id))["result"] == 1
    assert (await ann.told_to_leave())[0] == 1012
    assert await server.ended() == 0


async def test_nobody_new_gets_in_while_it_stops(server: Running, tmp_path: Path) -> None:
    ann, gate = await server.connect("ann"), Gate(tmp_path, 0)
    url = (await server.url()).replace("http", "ws", 1) + "/ws"
    await ann.order("note", text="taken", gate=str(gate))
    await gate.reached()
    server.process.send_signal(signal.SIGTERM)
    await ann.told("goodbye")
    with pytest.raises(OSError):  # noqa: PT011 - refused, in the words of this operating system
        await connect(url)
    gate.open()
    assert await server.ended() == 0


async def test_a_second_signal_ends_it_at_once(server: Running, tmp_path: Path) -> None:
    ann, gate = await server.connect("ann"), Gate(tmp_path, 0)
    id = await ann.order("note", text="never answered", gate=str(gate))
    await gate.reached()
    server.process.send_signal(signal.SIGTERM)
    await ann.told("goodbye")
    server.process.send_signal(signal.SIGTERM)
    assert await server.ended() == 128 + signal.SIGTERM
    await ann.told_to_leave()
    assert ann.replies(id) == []
