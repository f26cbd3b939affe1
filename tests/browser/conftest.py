"""A real Chromium, driven through Playwright's own protocol.

The browser lives as long as this folder's tests run and no longer: Playwright's synchronous driver keeps an
event loop running in this thread, beside which no other test could start one.
"""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, sync_playwright

from tests.support.machine import CHROMIUM_ARGUMENTS, find_chromium


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
