"""The page at /dev, used as a developer uses it: a token, a form, the wire, a countdown, a journey."""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from queue import SimpleQueue

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

from tests.support import village
from tests.support.serving import serving


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    """A server of the village, in a thread of its own: Playwright's loop occupies this one."""
    started: SimpleQueue[tuple[str, asyncio.AbstractEventLoop, asyncio.Event]] = SimpleQueue()

    async def run() -> None:
        stop = asyncio.Event()
        async with serving(village.app, tmp_path / "data") as server:
            started.put((server.url, asyncio.get_running_loop(), stop))
            await stop.wait()

    thread = threading.Thread(target=lambda: asyncio.run(run()), name="village")
    thread.start()
    address, loop, stop = started.get(timeout=30)
    yield address
    loop.call_soon_threadsafe(stop.set)
    thread.join(30)


@pytest.fixture
def page(context: BrowserContext, url: str) -> Iterator[Page]:
    """The page, as a guest; whatever the browser complains about (the CSP among others) fails the test."""
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(f"{url}/dev")
    page.get_by_role("button", name="Guest token").click()
    expect(page.locator("#status")).to_contain_text("player 1")
    yield page
    assert complaints == []


def form_of(page: Page, command: str) -> Locator:
    """The form of a command, opened."""
    form = page.locator(f"#forms details.command[data-name={command}]")
    form.locator(":scope > summary").click()
    return form


def test_a_command_is_sent_by_its_form_and_its_process_is_counted_down(page: Page) -> None:
    plant = form_of(page, "plant")
    plant.get_by_label("seconds").fill("600")
    plant.get_by_label("kind").select_option("pear")
    plant.get_by_role("button", name="Send").click()
    expect(plant.locator("output")).to_contain_text('"process":')

    live = page.locator("#live li")
    expect(live).to_contain_text("ripen")
    expect(live).to_contain_text('{"kind":"pear"}')
    expect(live.locator(".left")).to_contain_text("9 min")
    tree = (live.locator("small").text_content() or "").removeprefix("#")

    fell = form_of(page, "fell")
    fell.get_by_label("tree").fill(tree)
    fell.get_by_role("button", name="Send").click()
    expect(live).to_have_text("Nothing is under way.")
    expect(page.locator("#trips > li").filter(has_text="plant")).to_contain_text("process_cancelled")


def test_the_journey_of_a_command_goes_on_to_what_its_process_published(page: Page) -> None:
    plant = form_of(page, "plant")
    plant.get_by_label("seconds").fill("0.2")
    plant.get_by_role("button", name="Send").click()
    steps = page.locator("#trips > li").first.locator(".steps li")
    expect(steps.first).to_contain_text("sent")
    for step in ("reply", "process_started", "ripe on player:1", "Apples are ripe.", "process_completed"):
        expect(steps.filter(has_text=step).first).to_be_visible()


def test_a_refusal_shows_its_code_reason_and_sentence(page: Page) -> None:
    form = form_of(page, "plant")
    form.get_by_label("seconds").fill("0")
    form.get_by_role("button", name="Send").click()
    expect(form.locator("output")).to_contain_text("rejected · too_fast: A tree needs a moment.")
    expect(page.locator("#trips > li").first).to_contain_text("too_fast")


def test_any_text_goes_out_as_typed_and_the_wire_shows_no_token(page: Page) -> None:
    page.locator("#text").fill('{"command": "ping"')
    page.locator("#text").press("Enter")
    frames = page.locator("#frames")
    expect(frames.locator("li.out").filter(has_text='{"command": "ping"')).to_be_visible()
    expect(frames.locator("li.in.refused")).to_contain_text("JSON. JSON please")
    tokens = page.evaluate("JSON.parse(sessionStorage.getItem('starwire-dev-tokens'))")
    shown = frames.inner_text()
    assert '"token":"•••"' in shown
    assert tokens["access_token"] not in shown


def test_a_view_is_asked_by_its_form_and_a_reload_stays_the_same_player(page: Page) -> None:
    page.reload()
    expect(page.locator("#status")).to_contain_text("player 1")
    form = page.locator("#forms details.view[data-name=look]")
    form.locator(":scope > summary").click()
    form.get_by_role("button", name="Send").click()
    expect(form.locator("output")).to_contain_text('"result": 0')
    expect(form.locator("output")).to_contain_text('"player:1"')


def test_on_a_phone_nothing_is_wider_than_the_screen(page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    page.get_by_role("link", name="Journeys").click()
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width <= 390
