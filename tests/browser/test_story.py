"""The whole story in a real browser, as its players see it: alone, together, away, and back."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Invite
from tests.support.server import ServerProcess

pytestmark = pytest.mark.timeout(90)


def test_two_players_build_watch_cancel_and_one_hears_what_happened_while_away(
    server: ServerProcess, visitors: Invite
) -> None:
    ann, ben = visitors(server.url).play_as_guest(), visitors(server.url)
    universe = ann.begin_universe("Arda", pace=60)
    expect(ann.see("structure-metal_mine")).to_contain_text("unbuilt")

    # A friend comes by the link, and is in the same universe.
    ann.see("invite").click()
    link = ann.see("invitation-link").input_value()
    assert link.startswith(f"{server.url}/#join=")
    ben.page.goto(link)
    ben.see("play-guest").click()
    expect(ben.page.get_by_role("heading", level=1)).to_have_text("Arda")
    expect(ann.see("toast").filter(has_text="has joined the crew of Arda")).to_be_visible()

    # The reply comes at once, and the countdown counts down for both: ten minutes at pace 60.
    ann.see("build-metal_mine").click()
    first = ann.seconds_left()
    assert 5 <= first <= 10
    assert abs(first - ben.seconds_left()) <= 1
    ann.wait_until("a countdown that counts down", lambda: ann.seconds_left() < first)
    ben.wait_until("a countdown that counts down", lambda: ben.seconds_left() < first)
    progress = ann.see("construction-0").get_by_test_id("progress")
    before = int(progress.get_attribute("aria-valuenow") or 0)
    ann.wait_until("a bar that grows", lambda: int(progress.get_attribute("aria-valuenow") or 0) > before)

    # A second one waits its turn; taken back, its cost comes back.
    had = ann.metal()
    ann.see("build-crystal_mine").click()
    expect(ben.see("construction-1")).to_contain_text("Crystal mine")
    ann.wait_until("the price, paid", lambda: ann.metal() < had - 30)
    ann.see("construction-1").get_by_role("button", name=re.compile("Cancel")).click()
    expect(ben.see("construction-1")).to_have_count(0)
    ann.wait_until("the refund", lambda: ann.metal() >= had)

    # Nobody asks for it, and it comes: to both.
    for visitor in (ann, ben):
        expect(visitor.see("toast").filter(has_text="The metal mine on")).to_be_visible()
        expect(visitor.see("structure-metal_mine")).to_contain_text("level 1")
        expect(visitor.see("construction-0")).to_have_count(0)

    # Away while the next one is completed; back, and told of it.
    ann.see("build-crystal_mine").click()
    expect(ann.see("construction-0")).to_contain_text("Crystal mine")
    ann.leave()
    expect(ben.see("toast").filter(has_text="The crystal mine on")).to_be_visible(timeout=20_000)
    ann.come_back(f"#u/{universe}")
    away = ann.see("away")
    expect(away).to_contain_text("While you were away")
    expect(away).to_contain_text(re.compile("crystal mine on .* is complete"))
    assert away.get_by_text("crystal mine").count() == 1, "the cancelled one was never completed"
    ann.picture("away")
    ann.see("away-close").click()
    expect(ann.see("structure-crystal_mine")).to_contain_text("level 1")
    expect(ann.see("chronicle")).to_contain_text("metal mine")

    # Told once, not again.
    ann.page.reload()
    expect(ann.see("structure-crystal_mine")).to_contain_text("level 1")
    expect(ann.see("line")).to_contain_text("The line is open")
    expect(ann.see("away")).to_have_count(0)


def test_the_sky_opens_and_dragons_come(server: ServerProcess, visitors: Invite) -> None:
    """An hour in a second: the first session and the first warning are over before the tea is poured."""
    ann = visitors(server.url).play_as_guest()
    ann.begin_universe("Erewhon", pace=3600)
    for structure in ("crystal_mine", "observatory"):
        ann.see(f"build-{structure}").click()
    expect(ann.see("dragons")).to_contain_text("Dragons inbound")
    expect(ann.see("toast").filter(has_text="Space dragons are inbound in 25 seconds")).to_be_visible()
    expect(ann.see("toast").filter(has_text="discovered").first).to_be_visible()
    left = ann.see("dragons-countdown").inner_text()
    ann.wait_until("dragons that come nearer", lambda: ann.see("dragons-countdown").inner_text() < left)


def test_the_wire_shows_frames_in_and_out_and_survives_bad_json(
    server: ServerProcess, visitors: Invite
) -> None:
    ann = visitors(server.url).play_as_guest()
    ann.begin_universe("Brobdingnag", pace=60)
    ann.see("wire-toggle").click()
    log = ann.see("wire-log")
    expect(log.locator(".frame.out").filter(has_text='"command":"hello"')).to_have_count(1)
    expect(log.locator(".frame.in").filter(has_text='"universe_created"').first).to_be_visible()
    token = ann.page.evaluate("JSON.parse(localStorage['here-be-dragons.account']).tokens.access_token")
    assert token not in log.inner_text(), "tokens are not for showing"

    def say(text: str) -> None:
        ann.see("wire-input").fill(text)
        ann.see("wire-send").click()
        expect(log.locator(".frame.out code", has_text=text).last).to_be_visible()

    say("build me a metal mine, please")
    expect(log.locator(".frame.in", has_text="JSON. JSON please")).to_be_visible()
    say('{"id":"by-hand-1","command":"universes","args":{}}')
    expect(log.locator(".frame.in", has_text='"id":"by-hand-1"')).to_contain_text('"ok":true')
    expect(ann.see("line")).to_contain_text("The line is open")

    ann.see("build-metal_mine").click()  # a push comes in although nobody asks
    expect(log.locator(".frame.in", has_text='"construction_begun"').first).to_be_visible()
    ann.picture("wire")


def test_an_announcement_reaches_every_open_page(server: ServerProcess, visitors: Invite) -> None:
    ann, ben = (visitors(server.url).play_as_guest() for _ in range(2))
    said = server.starwire("announce", "Maintenance at noon")
    assert said.returncode == 0, said.stderr
    for visitor in (ann, ben):
        expect(visitor.see("announcement")).to_contain_text("Maintenance at noon")


def test_a_guest_keeps_the_account_and_comes_back_from_elsewhere(
    server: ServerProcess, visitors: Invite
) -> None:
    ann = visitors(server.url).play_as_guest()
    ann.begin_universe("Utopia", pace=1)
    ann.see("keep-account").click()
    ann.see("account-name").fill("Ann of Utopia")
    ann.see("account-password").fill("a password of some length")
    ann.see("register").click()
    expect(ann.see("player-name")).to_have_text("Ann of Utopia")
    expect(ann.see("line")).to_contain_text("The line is open")

    elsewhere = visitors(server.url).visit()
    elsewhere.see("sign-in").click()
    elsewhere.see("account-name").fill("Ann of Utopia")
    elsewhere.see("account-password").fill("a password of some length")
    elsewhere.see("login").click()
    elsewhere.page.get_by_role("link", name=re.compile("Utopia")).click()
    expect(elsewhere.page.get_by_role("heading", level=1)).to_have_text("Utopia")

    elsewhere.see("sign-out").click()
    expect(elsewhere.see("play-guest")).to_be_visible()
    elsewhere.page.reload()
    expect(elsewhere.see("play-guest")).to_be_visible()


def test_a_wrong_password_is_refused_with_a_sentence(server: ServerProcess, visitors: Invite) -> None:
    ann = visitors(server.url).visit()
    ann.outage_expected = True
    ann.see("sign-in").click()
    ann.see("account-name").fill("Nobody")
    ann.see("account-password").fill("not the password")
    ann.see("login").click()
    expect(ann.page.get_by_role("alert")).to_be_visible()
    expect(ann.see("login")).to_be_enabled()
    ann.complaints = [each for each in ann.complaints if "401" not in each]  # Chromium logs every 401
