"""One universe, two real pages, each at a gateway of its own: both are told by way of the cluster."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from starwire.engines.distributed.services import Postgres
from tests.browser.conftest import Invite
from tests.services import Cluster, fresh_database

pytestmark = pytest.mark.timeout(90)


@pytest.fixture
def cluster(tmp_path_factory: pytest.TempPathFactory, postgres: Postgres) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("cluster")
    with fresh_database(postgres) as url, Cluster(folder, url, log_level="warning") as running:
        yield running


def test_what_one_builds_is_pushed_to_the_pages_at_both_gateways(cluster: Cluster, visitors: Invite) -> None:
    here, there = cluster.urls
    ann, ben = visitors(here).play_as_guest(), visitors(there)
    ann.begin_universe("Avalon", pace=3600)
    ann.see("invite").click()
    token = ann.see("invitation-link").input_value().partition("/#")[2]
    ben.visit(f"#{token}")
    ben.see("play-guest").click()
    expect(ben.page.get_by_role("heading", level=1)).to_have_text("Avalon")
    expect(ann.see("toast").filter(has_text="has joined the crew of Avalon")).to_be_visible()
    ben.see("build-metal_mine").click()
    for visitor in (ann, ben):
        expect(visitor.see("toast").filter(has_text="metal mine").first).to_be_visible()
        expect(visitor.see("structure-metal_mine")).to_contain_text("level 1")
        expect(visitor.see("construction-0")).to_have_count(0)
