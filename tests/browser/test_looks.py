"""How the pages look: nothing sticks out at the width of a phone, and people get pictures of all."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Invite
from tests.browser.stage import DESKTOP, PHONE
from tests.support.server import ServerProcess

pytestmark = pytest.mark.timeout(90)


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_no_page_is_wider_than_its_window(
    server: ServerProcess, visitors: Invite, size: tuple[int, int]
) -> None:
    """Title, credentials, universes, chart, wire, dialog; each is pictured for people to look at."""
    name = f"{size[0]}x{size[1]}"
    ann = visitors(server.url, size=size, has_touch=size == PHONE, is_mobile=size == PHONE).visit()
    expect(ann.see("play-guest")).to_be_visible()
    seen = {"title": ann.overflow()}
    ann.picture(f"title-{name}")
    ann.see("sign-in").click()
    seen["credentials"] = ann.overflow()
    ann.picture(f"credentials-{name}")

    ann.see("play-guest").click()
    expect(ann.see("new-universe-name")).to_be_visible()
    seen["universes"] = ann.overflow()
    ann.picture(f"universes-{name}")
    ann.begin_universe("A universe with a rather long name, yes", pace=3600)
    ann.see("build-crystal_mine").click()
    ann.see("build-observatory").click()
    expect(ann.see("dragons")).to_contain_text("Dragons inbound")
    expect(ann.see("toast").filter(has_text="discovered").first).to_be_visible()
    ann.see("build-metal_mine").click()
    seen["universe"] = ann.overflow()
    ann.page.evaluate("scrollTo(0, 0)")
    ann.picture(f"universe-{name}")
    ann.see("invite").click()
    expect(ann.see("invitation-link")).to_be_visible()
    seen["invitation"] = ann.overflow()
    ann.see("wire-toggle").click()
    expect(ann.see("wire-log")).to_be_visible()
    seen["wire"] = ann.overflow()
    ann.within_reach("wire-send")
    ann.picture(f"wire-{name}")
    ann.see("wire-toggle").click()
    ann.see("keep-account").click()
    seen["account"] = ann.overflow()
    ann.picture(f"account-{name}")
    assert seen == dict.fromkeys(seen, 0), "pixels beyond the window"


def test_the_chart_is_usable_by_keyboard_alone(server: ServerProcess, visitors: Invite) -> None:
    """Whoever cannot use a mouse comes in and builds."""
    ann = visitors(server.url).visit()
    ann.see("play-guest").focus()
    ann.page.keyboard.press("Enter")
    ann.see("new-universe-name").focus()
    ann.page.keyboard.type("Lilliput")
    ann.page.keyboard.press("Enter")
    ann.page.wait_for_url(re.compile(r"#u/\d+$"))
    ann.see("build-metal_mine").focus()
    ann.page.keyboard.press("Enter")
    expect(ann.see("construction-0")).to_contain_text("Metal mine")
