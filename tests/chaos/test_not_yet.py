"""What guarantee 8 promises and is not built yet: expected failures, counted in every run's summary line."""

import sqlite3
from pathlib import Path

import pytest

from starwire.client import Client, guest
from tests.support.server import ServerProcess

DEATHS = 3
pytestmark = [pytest.mark.crash, pytest.mark.timeout(90)]


@pytest.mark.xfail(strict=True, reason="guarantee 8: items that kill their worker are not found yet")
async def test_a_process_that_kills_whoever_runs_it_is_failed_after_three_deaths(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path, app="tests.support.deadly:app")
    server.start()
    try:
        async with Client(server.url, token=(await guest(server.url))["access_token"]) as client:
            await client.command("tempt")
        for _ in range(DEATHS - 1):
            server.died()
            server.spawn()
        server.died()
        server.start()
        with sqlite3.connect(server.database) as database:
            assert database.execute("SELECT state FROM starwire_finished").fetchall() == [("failed",)]
    finally:
        server.close()


@pytest.mark.xfail(
    strict=True, reason="guarantee 8: an operator cannot have a failed process tried again yet"
)
def test_an_operator_has_a_command_that_tries_a_failed_process_again(tmp_path: Path) -> None:
    done = ServerProcess(tmp_path).starwire("retry", "--help")
    assert done.returncode == 0, done.stderr
