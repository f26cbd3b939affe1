"""`celery -A starwire.engines.distributed worker`, as Celery starts it by itself: a pool of processes."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from starwire.batch import Command
from starwire.engines.distributed import messages
from starwire.engines.distributed.children import end, spawn
from starwire.engines.distributed.services import Valkey
from starwire.engines.distributed.tasks import make_celery
from starwire.identity import Identity
from starwire.limits import Limits
from starwire.process import partition_of
from starwire.protocol import digest
from starwire.store.database import read_facts
from starwire.store.postgres import open_postgres
from tests.distributed.watching import eventually
from tests.support.machine import REPOSITORY
from tests.support.server import environment

PARTITIONS = 16


@pytest.fixture
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    """One of this test's own: the workers of other tests would take its tasks."""
    with Valkey(tmp_path_factory.mktemp("valkey")) as server:
        yield server


@pytest.fixture
def look(database: str) -> Iterator[psycopg.Connection]:
    """Looks at the database from outside."""
    with psycopg.connect(database, autocommit=True, application_name="test") as connection:
        yield connection


def start(log: Path, **settings: str) -> subprocess.Popen[bytes]:
    """A worker that has one process in its pool."""
    told = environment(app="tests.support.village:app", data=str(log.parent / "data"), **settings)
    command = [sys.executable, "-m", "celery", "-A", "starwire.engines.distributed", "worker"]
    with log.open("wb") as output:
        return spawn([*command, "--concurrency", "1"], output=output, environment=told, folder=REPOSITORY)


@pytest.fixture
def pool(database: str, valkey: Valkey, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A worker that works."""
    process = start(tmp_path / "log", database=database, broker=valkey.url)
    yield process
    end(process, signal.SIGTERM, seconds=10)
    print((tmp_path / "log").read_text(errors="replace"))


@pytest.mark.crash
@pytest.mark.timeout(60)
async def test_a_process_that_the_pool_starts_anew_shares_no_connection_with_its_parent(
    pool: subprocess.Popen[bytes], valkey: Valkey, look: psycopg.Connection
) -> None:
    await eventually(lambda: len(backends(look)) == 2, "the parent's connections", seconds=30)
    parents = backends(look)
    send(valkey, 1)
    await eventually(lambda: replies(look) == {"1"}, "the first reply")
    (child,) = psutil.Process(pool.pid).children()
    child.kill()
    await eventually(lambda: backends(look) == parents, "the end of its connections")
    send(valkey, 2)
    await eventually(lambda: replies(look) == {"1", "2"}, "the second reply")
    assert backends(look) > parents, "it used its parent's"


@pytest.mark.timeout(60)
def test_it_ends_rather_than_take_tasks_that_it_cannot_carry_out(
    database: str, valkey: Valkey, tmp_path: Path
) -> None:
    made = open_postgres(database, Limits())
    with made.write.begin() as connection:
        read_facts(connection, partitions=PARTITIONS)
    made.close()
    process = start(tmp_path / "log", database=database, broker=valkey.url, partitions="8")
    try:
        assert process.wait(30) == 2
    finally:
        end(process, signal.SIGTERM, seconds=10)
    assert "STARWIRE_PARTITIONS is 8, but this database was made with 16" in (tmp_path / "log").read_text()


def send(valkey: Valkey, number: int) -> None:
    """A task with one command, as a gateway sends it."""
    key, args = "village:a", f'{{"village":"a","number":{number}}}'.encode()
    partition = partition_of(key, PARTITIONS)
    command = Command(
        player="ann", id=str(number), name="tell", args=args, digest=digest("tell", args),
        key=key, partition=partition, identity=Identity("ann"),
    )  # fmt: skip
    batch = messages.Batch(f"batch-{number}", "nobody", [partition], [command])
    with make_celery(valkey.url, Limits()) as celery:
        celery.send_task(messages.COMMANDS, args=[messages.encode_batch(batch)])


def replies(look: psycopg.Connection) -> set[str]:
    """The ids that were answered."""
    return {id for (id,) in look.execute("SELECT id FROM starwire_reply").fetchall()}


def backends(look: psycopg.Connection) -> set[int]:
    """PostgreSQL's side of the worker's connections."""
    query = """SELECT pid FROM pg_stat_activity
        WHERE application_name = 'starwire' AND datname = current_database()"""
    return {pid for (pid,) in look.execute(query).fetchall()}
