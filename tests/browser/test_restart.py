"""Servers stop, crash and come back; the page that is open comes back by itself and misses nothing."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Invite
from tests.support.server import ServerProcess

pytestmark = pytest.mark.timeout(90)


@pytest.fixture
def mortal(tmp_path: Path) -> Iterator[ServerProcess]:
    """A server of the test's own, to be stopped and killed."""
    process = ServerProcess(tmp_path, reconnect_seconds="1")
    process.start()
    yield process
    process.close()


def test_an_open_page_survives_stops_and_crashes_and_goes_on(mortal: ServerProcess, visitors: Invite) -> None:
    ann = visitors(mortal.url).play_as_guest()
    ann.begin_universe("Atlantis", pace=60)
    ann.outage_expected = True
    ann.see("build-metal_mine").click()
    expect(ann.under_construction("Metal mine")).to_be_visible()

    assert mortal.stop() == 0
    expect(ann.see("line")).not_to_contain_text("The line is open")
    ann.picture("line-lost")
    mortal.start()
    expect(ann.see("line")).to_contain_text("The line is open")
    ann.see("build-crystal_mine").click()
    expect(ann.under_construction("Crystal mine")).to_be_visible()

    mortal.kill()
    expect(ann.see("line")).not_to_contain_text("The line is open")
    first = ann.see("construction-0")
    ann.wait_until("the due time, while nobody serves", lambda: "any moment" in first.inner_text())
    mortal.start()
    expect(ann.see("line")).to_contain_text("The line is open")
    expect(ann.see("chronicle")).to_contain_text("The metal mine on")
    expect(ann.see("structure-metal_mine")).to_contain_text("level 1")
    expect(ann.see("away")).to_have_count(0)  # nobody was away; the server was
    ann.see("build-storehouse").click()
    expect(ann.under_construction("Storehouse")).to_be_visible()
