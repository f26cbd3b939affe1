"""Servers stop, crash and come back; the page that is open comes back by itself and misses nothing."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Invite
from tests.browser.stage import Visitor
from tests.support.server import ServerProcess

pytestmark = pytest.mark.timeout(90)


@pytest.fixture
def mortal(tmp_path: Path) -> Iterator[ServerProcess]:
    """A server of the test's own, to be stopped and killed."""
    process = ServerProcess(tmp_path)
    process.start()
    yield process
    process.close()


def test_an_open_page_survives_stops_and_crashes_and_goes_on(mortal: ServerProcess, visitors: Invite) -> None:
    ann = visitors(mortal.url).play_as_guest()
    ann.begin_universe("Atlantis", pace=60)
    ann.outage_expected = True
    ann.see("build-metal_mine").click()
    expect(ann.see("construction-0")).to_contain_text("Metal mine")

    assert mortal.stop() == 0
    expect(ann.see("line")).not_to_contain_text("The line is open")
    ann.picture("line-lost")
    mortal.start()
    expect(ann.see("line")).to_contain_text("The line is open")
    ann.see("build-crystal_mine").click()
    expect(ann.see("construction-1")).to_contain_text("Crystal mine")

    mortal.kill()
    expect(ann.see("line")).not_to_contain_text("The line is open")
    ann.wait_until("the due time, while nobody serves", lambda: "any moment" in _first(ann))
    mortal.start()
    expect(ann.see("line")).to_contain_text("The line is open")
    expect(ann.see("toast").filter(has_text="metal mine")).to_be_visible()
    expect(ann.see("structure-metal_mine")).to_contain_text("level 1")
    expect(ann.see("construction-0")).to_contain_text("Crystal mine")
    left = ann.seconds_left()
    assert left <= 15, "it began at the due time of the first, not when the server was back"
    ann.see("build-storehouse").click()
    expect(ann.see("construction-1")).to_contain_text("Storehouse")


def _first(ann: Visitor) -> str:
    return ann.see("construction-0").inner_text()
