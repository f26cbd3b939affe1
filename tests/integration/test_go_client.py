"""The client in Go, which was written from the protocol's page alone, plays against a server that is killed.

It is `examples/telescope`: its own tests run here too, and it is held to Go's format and to `go vet`.
"""

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.machine import REPOSITORY, find_go
from tests.support.server import ServerProcess, environment

TELESCOPE = REPOSITORY / "examples" / "telescope"
PATIENCE_SECONDS = 30.0

pytestmark = [pytest.mark.go, pytest.mark.timeout(180)]  # the first time Go compiles its own library


def go(*arguments: str | Path) -> str:
    """Run Go in the example's folder, without a network; what it printed."""
    program = find_go()
    assert program is not None
    done = subprocess.run(
        [program, *arguments],
        cwd=TELESCOPE,
        env=environment() | {"GOPROXY": "off", "GOTOOLCHAIN": "local", "GOFLAGS": ""},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_the_telescope_is_formatted_and_vetted_and_its_own_tests_pass() -> None:
    go("vet", "./...")
    go("test", "./...")
    gofmt = Path(go("env", "GOROOT").strip()) / "bin" / "gofmt"
    listed = subprocess.run([gofmt, "-l", "."], cwd=TELESCOPE, capture_output=True, text=True, check=True)
    assert listed.stdout == ""


def test_the_telescope_needs_nothing_but_gos_own_library() -> None:
    modules = go("list", "-m", "all").split()
    assert modules == ["telescope"]
    assert all(len(path.read_text(encoding="utf-8").splitlines()) < 300 for path in TELESCOPE.rglob("*.go"))


class Wire:
    """Carries bytes to a server that may be down. While `deaf`, what the server says is lost."""

    def __init__(self, server: ServerProcess) -> None:
        self.deaf = False
        self.lost = b""
        self.news = asyncio.Event()
        self._server = server
        self._tasks: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[str]:
        """The address at which it listens while the block runs."""
        listener = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        try:
            yield f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
        finally:
            listener.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def lost_a_reply_to(self, command: str) -> None:
        """Wait until the server's reply to such a command was lost."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while f'"command":"{command}"'.encode() not in self.lost:
                self.news.clear()
                await self.news.wait()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self._server.port)
        except OSError:
            writer.close()
            return
        for source, sink in ((reader, back), (there, writer)):
            task = asyncio.ensure_future(self._carry(source, sink, answers=source is there))
            self._tasks.add(task)

    async def _carry(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, answers: bool
    ) -> None:
        try:
            while data := await source.read(65_536):
                if answers and self.deaf:
                    self.lost += data
                    self.news.set()
                else:
                    sink.write(data)
                    await sink.drain()
        except OSError:
            pass
        finally:
            sink.close()


class Telescope:
    """The client, which plays the lines it is given and tells what it sees."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.seen: list[dict[str, Any]] = []
        self._process = process

    @classmethod
    @asynccontextmanager
    async def at(cls, url: str, program: Path) -> AsyncIterator["Telescope"]:
        """The client of a server, while the block runs."""
        process = await asyncio.create_subprocess_exec(
            program,
            "-url",
            url,
            "-script",
            "-",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        try:
            yield cls(process)
        finally:
            if process.returncode is None:
                process.kill()
            await process.communicate()

    def play(self, *lines: str) -> None:
        """Let it play lines; they wait for each other only where they say so."""
        assert self._process.stdin is not None
        self._process.stdin.write("".join(f"{line}\n" for line in lines).encode())

    async def sees(self, seen: str, **fields: object) -> dict[str, Any]:
        """Wait until it tells such a thing."""
        assert self._process.stdout is not None
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                while line := await self._process.stdout.readline():
                    told = json.loads(line)
                    self.seen.append(told)
                    assert told["seen"] != "wrong", told
                    if told["seen"] == seen and fields.items() <= told.items():
                        return dict(told)
        except TimeoutError:
            pass
        raise AssertionError(f"no {seen} with {fields}; it saw\n" + "\n".join(map(str, self.seen)))

    async def ends(self) -> int:
        """Wait until it has ended by itself; its exit code."""
        assert self._process.stdout is not None
        async with asyncio.timeout(PATIENCE_SECONDS):
            self.seen += [json.loads(line) async for line in self._process.stdout]
            return await self._process.wait()

    def all(self, seen: str, **fields: object) -> list[dict[str, Any]]:
        """All such things that it has told."""
        return [told for told in self.seen if told["seen"] == seen and fields.items() <= told.items()]


@pytest.mark.crash
async def test_the_telescope_sees_each_event_once_and_its_retried_command_happens_once(
    tmp_path: Path,
) -> None:
    program = tmp_path / "telescope"
    go("build", "-o", program, ".")
    # Tokens expire a minute and two seconds after they were made: it is told so when it has played for two.
    server = ServerProcess(tmp_path, access_seconds="62", reconnect_seconds="0.5")
    server.start()
    try:
        wire = Wire(server)
        async with wire.listening() as url, Telescope.at(url, program) as telescope:
            await played_through(server, wire, telescope)
    finally:
        server.close()
    effects_were_single(telescope)


async def played_through(server: ServerProcess, wire: Wire, telescope: Telescope) -> None:
    telescope.play("found Ararat 3600", "await replies", "await chart")
    telescope.play("build metal_mine", "await construction_complete", "look")
    await telescope.sees("chart")

    wire.deaf = True
    telescope.play("build crystal_mine")
    await wire.lost_a_reply_to("build")  # it is done, and the telescope does not know
    server.kill()
    await telescope.sees("closed")
    telescope.play("rename Haven")  # while there is no server
    wire.deaf = False
    server.start()
    telescope.play("await replies", "await construction_complete", "await planet_renamed")
    await telescope.sees("push", event="planet_renamed")
    await telescope.sees("refreshed")

    assert await asyncio.to_thread(server.stop) == 0
    goodbye = await telescope.sees("goodbye")
    closed = await telescope.sees("closed")
    assert (closed["code"] in {1001, 1012}, closed["wait"]) == (True, pytest.approx(goodbye["after"]))
    telescope.play("build storehouse")
    server.start()
    telescope.play("await replies", "await construction_complete", "await chart", "look", "quit")
    assert await telescope.ends() == 0


def effects_were_single(telescope: Telescope) -> None:
    offsets: dict[str, list[int]] = {}
    for push in telescope.all("push"):
        offsets.setdefault(push["stream"], []).append(push["offset"])
    assert len(offsets) == 2, "the player's stream and the universe's"
    assert offsets == {stream: list(range(1, len(each) + 1)) for stream, each in offsets.items()}

    sent = [(told["command"], told["again"]) for told in telescope.all("sent")]
    assert [each for each in sent if each[0] != "create_universe"] == [
        ("build", False),
        ("build", False),
        ("build", True),  # under its id, before what was ordered later
        ("rename_planet", False),
        ("build", False),
    ]
    assert all(reply["ok"] for reply in telescope.all("reply")), telescope.all("reply")
    built = [push["data"]["structure"] for push in telescope.all("push", event="construction_complete")]
    assert built == ["metal_mine", "crystal_mine", "storehouse"]
    assert len(telescope.all("push", event="construction_queued")) == 3
    [planet] = telescope.all("chart")[-1]["chart"]["planets"]
    levels = {structure: level for structure, level in planet["structures"].items() if level}
    assert (planet["name"], planet["queue"]) == ("Haven", [])
    assert levels == {"metal_mine": 1, "crystal_mine": 1, "storehouse": 1}
