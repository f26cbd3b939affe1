"""Each part of the cluster dies, each for itself, under load: nothing acknowledged is lost, nothing is
doubled, and work goes on by itself.
"""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from random import Random

import psycopg
import pytest
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from starwire.client import guest
from starwire.engines.distributed.services import Postgres, Valkey
from tests.chaos.history import Witness
from tests.conftest import SEED
from tests.contract.harness import Client
from tests.distributed.play import GOES_ON_SECONDS, Play
from tests.distributed.watching import GLANCE_SECONDS, PATIENCE_SECONDS, eventually
from tests.services import Cluster, fresh_database

pytestmark = [pytest.mark.crash, pytest.mark.timeout(90)]

WORKERS = 2


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """A PostgreSQL of this module's own, to be killed."""
    with Postgres(tmp_path_factory.mktemp("postgres"), durable=False) as postgres:
        yield postgres


@pytest.fixture(scope="module")
def game(tmp_path_factory: pytest.TempPathFactory, services: Postgres) -> Iterator[Cluster]:
    """The game on two gateways, two workers and two schedulers."""
    with fresh_database(services, template=None) as url:
        folder = tmp_path_factory.mktemp("game")
        with Cluster(folder, url, access_seconds="86400", log_level="warning") as running:
            print(f"seed {SEED}")
            yield running


@pytest.fixture(scope="module")
def witnesses() -> list[Witness]:
    """Whoever has played on this cluster: all of it is judged after every fault."""
    return []


async def test_a_worker_killed_in_mid_task(game: Cluster, rng: Random, witnesses: list[Witness]) -> None:
    async with Play.on(game, rng, witnesses) as play:
        with psycopg.connect(game.database) as hold, psycopg.connect(game.database, autocommit=True) as look:
            hold.execute("SELECT * FROM starwire_partition FOR UPDATE")
            waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
            await eventually(lambda: one(look, waiting) >= WORKERS, "every worker in mid-task")
            game.kill("worker", 1)
        print(f"went on after {await play.goes_on('the death of a worker'):.1f} s")
        await asyncio.to_thread(game.start)


async def test_the_leading_scheduler_killed(game: Cluster, rng: Random, witnesses: list[Witness]) -> None:
    async with Play.on(game, rng, witnesses) as play:
        leader = await asyncio.to_thread(game.leader)
        game.kill("scheduler", leader)
        async with asyncio.timeout(GOES_ON_SECONDS):
            assert await asyncio.to_thread(game.leader) != leader
        await play.goes_on("the death of the leader")
        await asyncio.to_thread(game.start)


async def test_a_gateway_killed(game: Cluster, rng: Random, witnesses: list[Witness]) -> None:
    async with Play.on(game, rng, witnesses) as play:
        play.doors[0].clear()
        game.kill("gateway", 1)
        await asyncio.to_thread(game.restart, "gateway", 1)
        play.doors[0].set()
        print(f"went on after {await play.goes_on('the death of a gateway'):.1f} s")


async def test_valkey_killed_and_started_empty(game: Cluster, rng: Random, witnesses: list[Witness]) -> None:
    async with Play.on(game, rng, witnesses) as play:
        game.valkey.kill()
        await asyncio.sleep(1)
        await asyncio.to_thread(game.valkey.start)
        print(f"went on after {await play.goes_on('the death of Valkey'):.1f} s")


async def test_postgresql_killed_and_started_again(
    game: Cluster, services: Postgres, rng: Random, witnesses: list[Witness]
) -> None:
    async with Play.on(game, rng, witnesses) as play:
        await asyncio.to_thread(services.kill)
        await asyncio.sleep(1)
        await asyncio.to_thread(services.start)
        print(f"went on after {await play.goes_on('the death of PostgreSQL'):.1f} s")


@pytest.fixture(scope="module")
def hasty(tmp_path_factory: pytest.TempPathFactory, services: Postgres) -> Iterator[Cluster]:
    """A small village that soon gives up a command that cannot be carried out."""
    folder, village = tmp_path_factory.mktemp("hasty"), "tests.support.village:app"
    with fresh_database(services, template=None) as url, Cluster(
        folder, url, app=village, gateways=1, workers=1, schedulers=1, log_level="warning",
        command_seconds="1", transaction_seconds="1", unanswered_seconds="0.5", commands_per_second="1000",
    ) as running:  # fmt: skip
        yield running


def kill(valkey: Valkey) -> Callable[[], None]:
    """End it without a word; what starts it again."""
    valkey.kill()
    return valkey.start


def freeze(valkey: Valkey) -> Callable[[], None]:
    """Have it answer nobody, and close nothing; what lets it go on."""
    pid = valkey.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    return lambda: os.kill(pid, signal.SIGCONT)


@pytest.mark.parametrize("fault", [kill, freeze])
async def test_without_a_broker_a_command_is_unavailable_once_it_cannot_happen_and_its_id_works_afterwards(
    hasty: Cluster, fault: Callable[[Valkey], Callable[[], None]]
) -> None:
    tokens = await guest(hasty.urls[0])
    trees = f"SELECT count(*) FROM starwire_process WHERE owner = '{tokens['player']}'"
    async with at_gateway(hasty) as ann:
        await ann.command("hello", token=tokens["access_token"])
        await ann.command("plant", id="before", seconds=3600)
        with psycopg.connect(hasty.database, autocommit=True) as look:
            mend = fault(hasty.valkey)
            sent = time.monotonic()
            await ann.order("plant", id="k1", seconds=3600)
            longest = 0.0
            while not ann.replies("k1"):
                assert time.monotonic() - sent < PATIENCE_SECONDS, "no reply"
                asked = time.monotonic()
                await ann.command("ping")
                await asyncio.sleep(GLANCE_SECONDS)
                longest = max(longest, time.monotonic() - asked)
            (reply,) = ann.replies("k1")
            assert (reply["error"]["code"], reply["error"]["retry"]) == ("unavailable", True)
            assert time.monotonic() - sent > 1, "it could still have happened"
            assert longest < 0.5, f"the event loop stood still for {longest:.2f} s"
            assert await ann.command("look") == 0, "views need no broker"
            assert one(look, trees) == 1
            mend()
            back = time.monotonic()
            while not reply["ok"]:
                assert time.monotonic() - back < GOES_ON_SECONDS, f"the id does not work again: {reply}"
                count = len(ann.replies("k1"))
                reply = await ann.reply(await ann.order("plant", id="k1", seconds=3600), count)
            result = reply["result"]
            assert await ann.command("plant", id="k1", seconds=3600) == result
            assert one(look, trees) == 2


async def test_without_a_database_views_and_hellos_are_unavailable_and_may_be_tried_again(
    hasty: Cluster, services: Postgres
) -> None:
    tokens = await guest(hasty.urls[0])
    async with at_gateway(hasty) as ann, at_gateway(hasty) as late:
        await ann.command("hello", token=tokens["access_token"])
        services.kill()
        try:
            error = await ann.refused("look")
            assert (error["code"], error["retry"]) == ("unavailable", True)
            assert (await ann.refused("processes"))["code"] == "unavailable"
            assert (await late.refused("hello", token=tokens["access_token"]))["code"] == "unavailable"
            assert (await late.told_to_leave())[0] == 1011
            await ann.command("ping")
        finally:
            services.start()
        assert await ann.command("look") == 0
        async with at_gateway(hasty) as again:
            await again.command("hello", token=tokens["access_token"])


@asynccontextmanager
async def at_gateway(cluster: Cluster) -> AsyncIterator[Client]:
    """A socket that has not said hello, and keeps every frame."""
    url = cluster.urls[0].replace("http", "ws", 1) + "/ws"
    async with connect(url, subprotocols=[Subprotocol("starwire.v1")]) as socket:
        client = Client(socket, "ann")
        client.read()
        yield client
        client.vanish()


def one(connection: psycopg.Connection[tuple[int]], query: str) -> int:
    row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return row[0]
