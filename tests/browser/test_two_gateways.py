"""One build, from the command to two real pages at a gateway each, by what every part shows of itself."""

import json
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
import redis
from playwright.sync_api import expect
from psycopg.rows import dict_row

from starwire.clock import to_datetime
from starwire.engines.distributed import messages
from starwire.engines.distributed.services import Postgres
from tests.browser.conftest import Invite
from tests.browser.stage import Visitor
from tests.distributed.watching import WHOLE, CeleryEvents, Task, command_tasks, due_tasks
from tests.services import Cluster, fresh_database

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def cluster(tmp_path_factory: pytest.TempPathFactory, postgres: Postgres) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("cluster")
    with fresh_database(postgres) as url, Cluster(folder, url, log_level="warning") as running:
        yield running


def visit_together(here: Visitor, there: Visitor) -> int:
    """Two players look at one universe, each at another gateway; its number."""
    here.play_as_guest()
    universe = here.begin_universe("Avalon", pace=60)
    here.see("invite").click()
    token = here.see("invitation-link").input_value().partition("/#")[2]
    there.visit(f"#{token}")
    there.see("play-guest").click()
    expect(there.page.get_by_role("heading", level=1)).to_have_text("Avalon")
    expect(here.see("toast").filter(has_text="has joined the crew of Avalon")).to_be_visible()
    return universe


def carried(events: CeleryEvents, command: str) -> list[Task]:
    """The tasks `starwire.commands` that carried such a command, once they are whole."""
    return [each for each in command_tasks(events, command) if set(each.steps) >= WHOLE]


def test_one_build_is_followed_from_the_command_to_the_pages_at_both_gateways(
    cluster: Cluster, visitors: Invite
) -> None:
    ann, ben = (visitors(url) for url in cluster.urls)
    universe = visit_together(ann, ben)
    with (
        CeleryEvents(cluster.valkey.url) as events,
        redis.Redis.from_url(cluster.valkey.url) as broker,
        psycopg.connect(cluster.database, autocommit=True, row_factory=dict_row) as database,
    ):
        ears = broker.pubsub()
        ears.psubscribe(f"{messages.STREAM}*")
        ben.see("build-metal_mine").click()

        # A Celery task carried the command to a worker, which wrote the process's row…
        ben.wait_until("starwire.commands", lambda: bool(carried(events, "build")))
        (carrier,) = carried(events, "build")
        assert carrier.eta is None
        rows = database.execute("SELECT * FROM starwire_process WHERE kind = 'construct'").fetchall()
        (row,) = rows
        assert (row["state"], row["key"]) == ("pending", f"universe:{universe}")
        due_at = to_datetime(row["due_at"])

        # …and a delayed task has its due time as its ETA, rounded up to a bucket.
        def due() -> list[Task]:
            return due_tasks(events, due_at, row["partition"])

        ben.wait_until("starwire.due", lambda: bool(due()))
        assert all("started" not in each.steps for each in due()), "before its time"
        for visitor in (ann, ben):
            expect(visitor.see("construction-0")).to_contain_text("Metal mine")

        # When it ran, both pages were told, and whoever listens to pub/sub.
        for visitor in (ann, ben):
            told = visitor.see("toast").filter(has_text="The metal mine on")
            expect(told).to_be_visible(timeout=20_000)
            expect(visitor.see("structure-metal_mine")).to_contain_text("level 1")
            expect(visitor.see("construction-0")).to_have_count(0)
        assert {step for each in due() for step in each.steps} >= {"received", "started"}
        heard = published(ears, "construction_complete")
        assert [each["stream"] for each in heard] == [f"universe:{universe}"]
        assert heard[0]["at"].startswith(due_at.isoformat()[:23]), "its time is when it was due"
        state = "SELECT state FROM starwire_finished WHERE id = %s"
        assert database.execute(state, [row["id"]]).fetchall() == [{"state": "completed"}]


def published(ears: Any, event: str) -> list[dict[str, Any]]:
    """The pushes of this name that an independent subscriber has heard."""
    found: list[dict[str, Any]] = []
    while (message := ears.get_message(timeout=0.5)) is not None:
        if message["type"] == "pmessage":
            found.append(json.loads(messages.decode_event(message["data"]).frame))
    return [each for each in found if each["event"] == event]
