"""What the stories in a browser share: visitors who notice everything that goes wrong."""

import re
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import BrowserContext, ConsoleMessage, Error, Locator, Page, expect

from tests.support.machine import REPOSITORY

PICTURES = REPOSITORY / "test-results" / "browser"
DESKTOP = (1280, 800)
PHONE = (390, 844)
PATIENCE_MS = 15_000
expect.set_options(timeout=PATIENCE_MS)

WATCH_THE_POLICY = """
document.addEventListener("securitypolicyviolation", (e) =>
  console.error(`against the content security policy: ${e.violatedDirective} ${e.blockedURI} ${e.sample}`));
"""
OUTAGE = re.compile(
    r"ERR_CONNECTION_REFUSED|ERR_CONNECTION_RESET|ERR_SOCKET_NOT_CONNECTED|WebSocket connection to"
)
"""What Chromium itself writes on the console while a server is down."""


class Visitor:
    """Somebody with a browser profile of their own, looking at one page. `complaints` is what went wrong."""

    def __init__(self, context: BrowserContext, url: str) -> None:
        self.context = context
        self.url = url
        self.complaints: list[str] = []
        self.outage_expected = False
        self.page = self._open_page()

    def _open_page(self) -> Page:
        page = self.context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.add_init_script(WATCH_THE_POLICY)
        page.on("console", self._said)
        page.on("pageerror", self._raised)
        return page

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"} and not (
            self.outage_expected and OUTAGE.search(message.text)
        ):
            self.complaints.append(f"console {message.type}: {message.text} ({message.location})")

    def _raised(self, error: Error) -> None:
        self.complaints.append(f"uncaught: {error}")

    def see(self, testid: str) -> Locator:
        return self.page.get_by_test_id(testid)

    # Coming and going

    def visit(self, fragment: str = "") -> "Visitor":
        self.page.goto(f"{self.url}/{fragment}")
        return self

    def leave(self) -> None:
        """Close the tab; the profile stays."""
        self.page.close()

    def come_back(self, fragment: str = "") -> None:
        self.page = self._open_page()
        self.visit(fragment)

    def play_as_guest(self) -> "Visitor":
        self.visit()
        self.see("play-guest").click()
        expect(self.see("line")).to_contain_text("The line is open")
        return self

    def begin_universe(self, name: str, pace: int) -> int:
        """Create a universe and look at it; its number."""
        self.see("new-universe-name").fill(name)
        self.see(f"pace-{pace}").locator("..").click()
        expect(self.see(f"pace-{pace}")).to_be_checked()
        self.see("create-universe").click()
        self.page.wait_for_url(re.compile(r"#u/\d+$"))
        expect(self.page.get_by_role("heading", level=1)).to_have_text(name)
        return int(self.page.url.rpartition("/")[2])

    # What is seen

    def under_construction(self, name: str) -> Locator:
        """An order in the queue, wherever in it."""
        return self.page.get_by_test_id(re.compile(r"^construction-\d+$")).filter(has_text=name)

    def metal(self) -> int:
        return whole(self.see("resource-metal"))

    def seconds_left(self, place: int = 0) -> int:
        """The countdown of the first in the queue, as it is shown."""
        shown = self.see(f"construction-{place}").get_by_test_id("countdown").inner_text()
        minutes, _, seconds = shown.rpartition(":")
        return int(minutes) * 60 + int(seconds)

    def wait_until(self, what: str, seen: Callable[[], bool], *, seconds: float = PATIENCE_MS / 1000) -> None:
        """Look again and again, letting the page move, until it is seen."""
        for _ in range(int(seconds / 0.05)):
            if seen():
                return
            self.page.wait_for_timeout(50)
        raise AssertionError(f"never seen: {what}")

    def overflow(self) -> int:
        """By how many pixels the page is wider than the window, or what is in a dialog than the dialog."""
        width: int = self.page.evaluate(
            """Math.max(
              document.documentElement.scrollWidth - window.innerWidth,
              ...[...document.querySelectorAll("dialog[open]")].map((d) => d.scrollWidth - d.clientWidth))"""
        )
        return width

    def within_reach(self, testid: str) -> None:
        """See that a click would go where it is meant to, and that nothing lies over it."""
        self.see(testid).click(trial=True, timeout=1_500)

    def picture(self, name: str, *, size: tuple[int, int] | None = None) -> Path:
        """Take a screenshot at a size, for people to look at."""
        if size is not None:
            self.page.set_viewport_size({"width": size[0], "height": size[1]})
        path = PICTURES / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=path, animations="allow")
        return path


def whole(shown: Locator) -> int:
    """A number as people read it."""
    return int(re.sub(r"\D", "", shown.inner_text()))
