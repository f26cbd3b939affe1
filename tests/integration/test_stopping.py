"""An orderly stop: everyone is told, what was taken is answered, and a second signal ends it at once."""

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from tests.contract.harness import Client, Gate, eventually
from tests.support.line import UPGRADE, Line
from tests.support.machine import REPOSITORY
from tests.support.server import environment

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

    async def line(self, *said: str) -> Line:
        """A TCP connection that has said this."""
        port = int((await self.url()).rpartition(":")[2])
        line = Line(port, *await asyncio.open_connection("127.0.0.1", port))
        for each in said:
            await line.say(each)
        return line

    async def ended(self) -> int:
        await eventually(lambda: self.process.poll() is not None, "the end of the OS process")
        return self.process.wait()


def running(folder: Path, **limits: str) -> Iterator[Running]:
    arguments = ["serve", "--app", "tests.contract.served:app", "--dev", "--port", "0"]
    log = folder / "log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-c", SERVE, *arguments, "--data", str(folder / "data")],
            cwd=REPOSITORY,
            env=environment(**limits),
            stdout=file,
            stderr=file,
        )
    yield Running(process, folder / "data", log)
    process.kill()
    process.wait()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Running]:
    yield from running(tmp_path)


@pytest.fixture
def hasty(tmp_path: Path) -> Iterator[Running]:
    """A server that waits for nobody long, and says goodbye to one after the other."""
    yield from running(tmp_path, drain_seconds="1", drain_batch="1", close_seconds="0.3")


@pytest.fixture
def patient(tmp_path: Path) -> Iterator[Running]:
    """A server that waits very long."""
    yield from running(tmp_path, drain_seconds="60", close_seconds="60", request_seconds="60")


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


SLOW_TO_LEAVE = {
    "silent": "",
    "half a request": "GET /ws HTTP/1.1\r\nHost: localhost\r\n",
    "half a body": "POST /nothing HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{",
    "no hello": f"GET /ws HTTP/1.1\r\nHost: localhost\r\n{UPGRADE}\r\n",
    "idle": "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
}


async def test_nobody_who_is_slow_to_leave_holds_up_the_stop(hasty: Running) -> None:
    ann = await hasty.connect("ann")
    lines = [await hasty.line(said) for said in SLOW_TO_LEAVE.values()]
    await lines[-1].answer()  # and by then the server has heard the others
    hasty.process.send_signal(signal.SIGTERM)
    assert (await ann.told_to_leave())[0] == 1012
    assert await hasty.ended() == 0, hasty.log.read_text()
    log = hasty.log.read_text()
    assert "Traceback" not in log
    assert "graceful shutdown exceeded" not in log, "uvicorn has given up waiting for somebody"
    for line in lines:
        line.hang_up()


async def test_the_time_to_answer_is_for_all_batches_together(hasty: Running, tmp_path: Path) -> None:
    clients, gate = [await hasty.connect(name) for name in ("ann", "bob", "cid", "dan")], Gate(tmp_path, 0)
    for client in clients:
        await client.order("note", text="never answered", gate=str(gate))
    await gate.reached()
    await clients[-1].command("ping")
    began = time.monotonic()
    hasty.process.send_signal(signal.SIGTERM)
    for client in clients:
        assert (await client.told_to_leave())[0] == 1012
        assert client.of_type("goodbye")
    assert 1.0 <= time.monotonic() - began < 2.5
    gate.open()
    assert await hasty.ended() == 0


async def test_after_goodbye_a_busy_client_is_refused_and_does_not_hold_up_the_stop(
    server: Running, tmp_path: Path
) -> None:
    ann, gate = await server.connect("ann"), Gate(tmp_path, 0)
    taken = await ann.order("note", text="taken", gate=str(gate))
    await gate.reached()
    server.process.send_signal(signal.SIGTERM)
    await ann.told("goodbye")
    error = await ann.refused("note", text="too late")
    assert (error["code"], error["retry"]) == ("unavailable", True)
    gate.open()
    assert (await ann.reply(taken))["result"] == 1
    assert await server.ended() == 0


async def test_a_second_signal_ends_it_also_while_it_waits_for_those_who_do_not_leave(
    patient: Running,
) -> None:
    line = await patient.line(SLOW_TO_LEAVE["no hello"])
    assert (await line.answer())[0] == 101
    patient.process.send_signal(signal.SIGTERM)
    assert await line.piece() == b"\x88\x09\x03\xf4restart", "a close frame, with 1012"
    patient.process.send_signal(signal.SIGTERM)
    assert await patient.ended() == 128 + signal.SIGTERM
    line.hang_up()
