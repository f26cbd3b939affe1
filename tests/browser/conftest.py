"""A real Chromium, driven through Playwright's own protocol, and real servers for it to visit.

The browser lives as long as this folder's tests run and no longer: Playwright's synchronous driver keeps an
event loop running in this thread, beside which no other test could start one.
"""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, sync_playwright

from tests.browser.stage import DESKTOP, Visitor
from tests.support.machine import CHROMIUM_ARGUMENTS, find_chromium
from tests.support.server import ServerProcess

Invite = Callable[..., Visitor]


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    """One Chromium for all browser tests; each test opens contexts of its own."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=list(CHROMIUM_ARGUMENTS))
        yield browser
        browser.close()


@pytest.fixture
def context(chromium: Browser) -> Iterator[BrowserContext]:
    """A browser profile of the test's own, at desktop size."""
    context = chromium.new_context(viewport={"width": 1280, "height": 800})
    yield context
    context.close()


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server for all stories in which it goes on running."""
    process = ServerProcess(tmp_path_factory.mktemp("server"))
    process.start()
    yield process
    process.close()


@pytest.fixture
def visitors(chromium: Browser) -> Iterator[Invite]:
    """Makes visitors, each with a profile of their own: `visitors(url, size=…, **options of the profile)`.

    What went wrong on any of their pages fails the test at its end.
    """
    came: list[Visitor] = []

    def invite(url: str, *, size: tuple[int, int] = DESKTOP, **options: object) -> Visitor:
        viewport = {"width": size[0], "height": size[1]}
        context = chromium.new_context(viewport=viewport, **options)  # type: ignore[arg-type]
        visitor = Visitor(context, url)
        came.append(visitor)
        return visitor

    yield invite
    for visitor in came:
        visitor.context.close()
    complaints = [complaint for visitor in came for complaint in visitor.complaints]
    assert not complaints, "\n".join(complaints)
