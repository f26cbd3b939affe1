"""The first seconds of the distributed engine's servers: migrations under a lock, and what they refuse."""

import subprocess
import sys
from pathlib import Path

import pytest

from starwire.engines.distributed.services import Postgres, Valkey
from tests.services import Cluster, fresh_database
from tests.support.machine import REPOSITORY
from tests.support.server import PATIENCE_SECONDS, environment

VILLAGE = "tests.support.village:app"
ROLES = {"gateway": ["serve", "--app", VILLAGE], "worker": ["worker"], "scheduler": ["scheduler"]}


def test_ten_servers_on_an_empty_database_run_the_migrations_once(tmp_path: Path, postgres: Postgres) -> None:
    with fresh_database(postgres, template=None) as url:
        name = url.partition("?")[0].rpartition("/")[2]
        postgres.execute(f"ALTER DATABASE {name} SET log_statement = 'ddl'")
        said = len(postgres.log.read_text())
        with Cluster(tmp_path, url, app=VILLAGE, gateways=4, workers=3, schedulers=3, migrated=False) as many:
            assert sum(len(many.pids(role)) for role in ROLES) == 10, many.tail()
            assert "Traceback" not in many.tail(1000)
        made = postgres.log.read_text()[said:]
        assert made.count("CREATE TABLE starwire_process ") == 1
        assert made.count("CREATE TABLE trees ") == 1


def start(role: str, **settings: str) -> str:
    """Start a server that must refuse at once; the line that it says."""
    done = subprocess.run(
        [sys.executable, "-m", "starwire", *ROLES[role]],
        cwd=REPOSITORY,
        env=environment(**({"app": VILLAGE, "port": "0", "dev": "1"} | settings)),
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert done.stdout == ""
    return lines[0]


@pytest.fixture
def made(database: str, valkey: Valkey, tmp_path: Path) -> dict[str, str]:
    """The settings of a database that was made by `starwire migrate`."""
    settings = {"database": database, "broker": valkey.url, "data": str(tmp_path), "app": VILLAGE}
    command = [sys.executable, "-m", "starwire", "migrate", "--app", VILLAGE]
    told = environment(dev="1", **settings)
    subprocess.run(command, cwd=REPOSITORY, env=told, check=True, capture_output=True)
    return settings


def name_of(settings: dict[str, str]) -> str:
    return settings["database"].partition("?")[0].rpartition("/")[2]


@pytest.mark.parametrize("role", ROLES)
def test_another_number_of_partitions_is_refused(made: dict[str, str], role: str) -> None:
    line = start(role, partitions="8", **made)
    assert "STARWIRE_PARTITIONS is 8, but this database was made with 16" in line


@pytest.mark.parametrize("role", ROLES)
def test_a_newer_schema_is_refused(made: dict[str, str], postgres: Postgres, role: str) -> None:
    postgres.execute("UPDATE starwire_version SET version_num = '9999'", database=name_of(made))
    line = start(role, **made)
    assert "the database is at revision 9999 of 'starwire', which this code does not know" in line
    assert "STARWIRE_DATABASE" in line


@pytest.mark.parametrize("role", ROLES)
def test_a_schema_that_is_not_ours_is_refused(
    tmp_path: Path, postgres: Postgres, valkey: Valkey, role: str
) -> None:
    with fresh_database(postgres, template=None) as url:
        settings = {"database": url, "broker": valkey.url, "data": str(tmp_path)}
        postgres.execute("CREATE TABLE starwire_process (colour text)", database=name_of(settings))
        line = start(role, **settings)
        assert "the database has a table 'starwire_process' but no 'starwire_version'" in line
        tables = postgres.execute("SELECT relname FROM pg_stat_user_tables", database=name_of(settings))
        assert tables == [("starwire_process",)], "nothing was touched"


@pytest.mark.parametrize("role", ROLES)
def test_a_database_that_cannot_be_reached_is_named(tmp_path: Path, valkey: Valkey, role: str) -> None:
    url = f"postgresql://ann:secret@/game?host={tmp_path}"
    line = start(role, database=url, broker=valkey.url, data=str(tmp_path))
    assert "STARWIRE_DATABASE: PostgreSQL is not usable" in line
    assert "secret" not in line


@pytest.mark.parametrize("role", ROLES)
def test_a_broker_that_cannot_be_reached_is_named(tmp_path: Path, database: str, role: str) -> None:
    line = start(role, database=database, broker=f"unix://{tmp_path}/none.sock", data=str(tmp_path))
    assert "STARWIRE_BROKER: Redis or Valkey is not usable" in line
