"""`starwire cluster`, as `make cluster` runs it: every server and its services from one terminal."""

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import msgspec
import psutil
import pytest

from starwire.cli.running import RunningCluster
from starwire.client import Client, guest
from tests.services import alive
from tests.support.machine import REPOSITORY
from tests.support.server import GLANCE_SECONDS, PATIENCE_SECONDS, environment, free_port


class Command:
    """The command as a child of ours, and all that it starts."""

    def __init__(self, folder: Path) -> None:
        self.data = folder / "data"
        self.output = folder / "output.log"
        self.process: subprocess.Popen[bytes]

    def start(self, *arguments: str) -> None:
        """Start, and wait until it says that it is ready."""
        self.output.write_bytes(b"")
        with self.output.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "starwire", "cluster", "--port", "0", *arguments],
                cwd=REPOSITORY,
                env=environment(data=str(self.data)),
                stdout=output,
                stderr=output,
            )
        self.await_(lambda: "Ready." in self.said())

    def said(self) -> str:
        return self.output.read_text(errors="replace")

    def await_(self, condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not condition():
            assert self.process.poll() is None, f"it ended with {self.process.returncode}:\n{self.said()}"
            assert time.monotonic() < deadline, f"waited in vain:\n{self.said()}"
            time.sleep(GLANCE_SECONDS)

    def urls(self) -> list[str]:
        return msgspec.json.decode((self.data / "cluster.json").read_bytes(), type=RunningCluster).gateways

    def family(self) -> list[psutil.Process]:
        """Every OS process below it."""
        return list(psutil.Process(self.process.pid).children(recursive=True))

    def pid(self, name: str) -> int:
        """The OS process id that was announced for a server, or that it has since its last restart."""
        lines = re.findall(rf"^ *{name} +(\d+) ", self.said(), re.MULTILINE)
        return int(lines[-1])

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def ended(self) -> int:
        return self.process.wait(PATIENCE_SECONDS)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            self.ended()

    def starwire(self, *arguments: str) -> str:
        """What a tool says that is only told the folder."""
        done = subprocess.run(
            [sys.executable, "-m", "starwire", *arguments],
            cwd=REPOSITORY,
            env=environment(data=str(self.data)) | {"COLUMNS": "160"},
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder that PostgreSQL's user can reach when we are root, as a home of pytest's is not."""
    made = Path(tempfile.mkdtemp(prefix="starwire-test-"))
    made.chmod(0o711)
    yield made
    shutil.rmtree(made)


@pytest.fixture(scope="module")
def cluster(folder: Path) -> Iterator[Command]:
    command = Command(folder)
    command.start()
    yield command
    command.close()


def is_ready(url: str) -> bool:
    try:
        with urlopen(f"{url}/readyz", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


async def universe(client: Client) -> int:
    return int((await client.command("create_universe", name="Arda"))["universe"])


async def order_mine(client: Client, number: int) -> Any:
    return await client.command("build", universe=number, planet=1, structure="metal_mine")


async def test_a_build_at_one_gateway_is_pushed_to_a_client_of_the_other(cluster: Command) -> None:
    here, there = cluster.urls()
    signed = await guest(here)
    async with Client(here, tokens=signed) as ann, Client(there, token=signed["access_token"]) as same:
        number = await universe(ann)
        ordered = await order_mine(ann, number)
        begun = await same.wait_for("construction_begun")
        assert begun.stream == f"universe:{number}"
        started = await same.wait_for("process_started")
        assert started.data["process"] == ordered["process"]


def test_inspect_finds_the_cluster_by_its_folder_and_shows_every_role(cluster: Command) -> None:
    def roles() -> list[str]:
        return sorted(re.findall(r"│ (gateway|worker|scheduler) ", cluster.starwire("inspect")))

    cluster.await_(lambda: roles() == ["gateway"] * 2 + ["scheduler"] * 2 + ["worker"] * 2)
    shown = cluster.starwire("inspect")
    assert re.search(r"leader +scheduler-[12], term \d+", shown)
    assert len(re.findall(r"scheduler-\d .* leads ", shown)) == 1
    assert "STARWIRE" not in shown
    assert any(url in shown for url in cluster.urls())


async def test_tools_that_sign_find_it_too(cluster: Command) -> None:
    token = cluster.starwire("token", "--guest").strip()
    async with Client(cluster.urls()[1], token=token) as client:
        cluster.starwire("announce", "Maintenance at noon")
        push = await client.wait_for("announcement")
        assert push.message == "Maintenance at noon"
    assert "pending processes can be read" in cluster.starwire("check", "--app", "herebedragons.app:app")
    assert "newest revision" in cluster.starwire("migrate", "--app", "herebedragons.app:app")


@pytest.mark.crash
@pytest.mark.parametrize("name", ["worker-1", "scheduler-2", "gateway-1", "valkey", "postgres"])
def test_what_dies_is_started_again_and_that_is_said(cluster: Command, name: str) -> None:
    before = cluster.pid(name)
    os.kill(before, signal.SIGKILL)
    cluster.await_(lambda: re.search(rf"^{name} +\d+ started again", cluster.said(), re.MULTILINE))
    after = cluster.pid(name)
    assert after != before
    assert psutil.pid_exists(after)


@pytest.mark.crash
async def test_afterwards_everything_works_as_before(cluster: Command) -> None:
    for url in cluster.urls():
        cluster.await_(lambda url=url: is_ready(url))  # type: ignore[misc]
        async with Client(url, tokens=await guest(url)) as client:
            await order_mine(client, await universe(client))


def test_every_line_says_whose_it_is(cluster: Command) -> None:
    said = cluster.said()
    assert re.search(
        rf"^gateway-2 +{cluster.pid('gateway-2')} herebedragons is at {cluster.urls()[1]}", said, re.MULTILINE
    )
    assert re.search(r"^scheduler-[12] +\d+ .*leading", said, re.MULTILINE)
    assert "starwire inspect" in said
    assert "celery -A starwire.engines.distributed -b redis+socket://" in said


def test_a_second_one_on_the_same_folder_is_refused(cluster: Command) -> None:
    for command in ("cluster", "play"):
        done = subprocess.run(
            [sys.executable, "-m", "starwire", command, "--port", "0", "--data", str(cluster.data)],
            cwd=REPOSITORY,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
        assert done.returncode == 2
        assert f"is in use by another server (OS process {cluster.process.pid})" in done.stderr
        assert done.stderr.count("\n") == 1


def two_free_ports() -> int:
    """A port that nobody listens on, as on the one after it."""
    while True:
        port = free_port()
        with socket.socket() as probe, contextlib.suppress(OSError, OverflowError):
            probe.bind(("127.0.0.1", port + 1))
            return port


@pytest.fixture
def own(folder: Path) -> Iterator[Command]:
    """One that the test itself starts and ends."""
    command = Command(Path(tempfile.mkdtemp(dir=folder)))
    command.data.parent.chmod(0o711)
    yield command
    command.close()


async def test_ctrl_c_leaves_nothing_behind_and_the_next_start_goes_on(own: Command) -> None:
    port = two_free_ports()
    own.start("--port", str(port), "--workers", "1", "--schedulers", "1")
    assert own.urls() == [f"http://127.0.0.1:{port}", f"http://127.0.0.1:{port + 1}"]
    url = own.urls()[1]
    signed = await guest(url)
    async with Client(url, tokens=signed) as ann:
        number = await universe(ann)
    family = own.family()
    own.signal(signal.SIGINT)
    assert own.ended() == 0, own.said()
    assert alive(family) == []
    assert not (own.data / "cluster.json").exists()
    said = own.said()
    assert said.rstrip().endswith("everything has stopped")
    assert "exit code" not in said
    assert "Traceback" not in said

    own.start("--workers", "1", "--schedulers", "1", "--gateways", "1")
    async with Client(own.urls()[0], token=signed["access_token"]) as ann:
        await order_mine(ann, number)


@pytest.mark.crash
def test_killed_it_takes_everything_with_it(own: Command) -> None:
    own.start("--workers", "1", "--schedulers", "1", "--gateways", "1")
    family = own.family()
    assert len(family) >= 5
    own.process.kill()
    own.ended()
    assert alive(family, wait=True) == []


def test_a_second_ctrl_c_waits_for_nobody(own: Command) -> None:
    own.start("--workers", "1", "--schedulers", "1", "--gateways", "1")
    family = own.family()
    os.kill(own.pid("gateway-1"), signal.SIGSTOP)  # it will never stop by itself
    deadline = time.monotonic() + PATIENCE_SECONDS
    while own.process.poll() is None and time.monotonic() < deadline:
        own.signal(signal.SIGINT)  # two that come at once would be one
        time.sleep(0.1)
    assert own.ended() == 128 + signal.SIGINT
    assert alive(family, wait=True) == []


@pytest.mark.parametrize(
    ("arguments", "settings", "complaint"),
    [
        (["--app", "nothing:app"], {}, "there is no such module"),
        ([], {"port": "65535"}, "need ports up to 65536"),
        ([], {"database": "postgresql://x/y", "broker": "redis://x"}, "a cluster brings its own"),
    ],
)
def test_a_mistake_is_one_line_and_nothing_is_started(
    tmp_path: Path, arguments: list[str], settings: dict[str, str], complaint: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "starwire", "cluster", *arguments],
        cwd=tmp_path,
        env=environment(data=str(tmp_path / "data"), **settings),
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert done.returncode == 2
    assert complaint in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "data" / "cluster").exists()
