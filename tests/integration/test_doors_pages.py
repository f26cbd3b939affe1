"""The pages that are served, the game's and /dev, need nothing that their strict policy forbids."""

from collections.abc import AsyncIterator
from html.parser import HTMLParser
from pathlib import Path

import pytest

from herebedragons.app import app
from tests.support.asgi import request
from tests.support.doors import Doors, open_doors

HOST = "game.example:8000"
POLICY = {
    "default-src": {"'self'"},
    "connect-src": {"'self'", f"ws://{HOST}", f"wss://{HOST}"},
    "img-src": {"'self'", "data:"},
    "base-uri": {"'none'"},
    "frame-ancestors": {"'none'"},
    "form-action": {"'self'"},
    "object-src": {"'none'"},
}
HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}


class Needs(HTMLParser):
    """What a page loads, and what stands in it that a policy without ``unsafe-inline`` forbids."""

    def __init__(self) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.inline: list[str] = []
        self._within = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._within = tag
        for name, value in attrs:
            if name == "style" or name.startswith("on") or (value or "").startswith("javascript:"):
                self.inline.append(f"<{tag} {name}={value!r}>")
            if name in {"src", "href", "srcset", "action", "data"}:
                self.loads.append(value or "")

    def handle_endtag(self, tag: str) -> None:
        self._within = ""

    def handle_data(self, data: str) -> None:
        if self._within in {"script", "style"} and data.strip():
            self.inline.append(f"<{self._within}>{data.strip()[:40]}")


@pytest.fixture
async def doors(tmp_path: Path) -> AsyncIterator[Doors]:
    async with open_doors(tmp_path, app=app, dev=True) as opened:
        yield opened


@pytest.mark.parametrize("path", ["/", "/dev"])
async def test_a_page_has_a_strict_policy_and_needs_no_more_than_it_allows(doors: Doors, path: str) -> None:
    answer = await request(doors.http, "GET", path)
    assert (answer.status, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    rules = [rule.split() for rule in answer.headers["content-security-policy"].split(";")]
    assert {name: set(sources) for name, *sources in rules} == POLICY
    assert {name: answer.headers.get(name) for name in HEADERS} == HEADERS
    needs = Needs()
    needs.feed(answer.body.decode())
    assert needs.inline == []
    assert needs.loads
    for each in needs.loads:
        assert each.startswith(("/", "#", "data:image/")), each
        assert not each.startswith("//"), each
        if each.startswith("/") and each != "/":
            assert (await request(doors.http, "GET", each)).status == 200, each


@pytest.mark.parametrize(
    "path", ["/", "/dev", "/starwire/starwire.js", "/static/main.js", "/nothing", "/auth/guest"]
)
async def test_every_answer_has_the_same_protection(doors: Doors, path: str) -> None:
    home = await request(doors.http, "GET", "/")
    answer = await request(doors.http, "GET", path)
    for name in ("content-security-policy", *HEADERS):
        assert answer.headers[name] == home.headers[name]


async def test_a_page_under_a_foreign_name_is_refused_with_the_same_protection(doors: Doors) -> None:
    answer = await request(doors.http, "GET", "/", headers={"host": "evil.example"})
    assert answer.status == 421
    assert "default-src 'self'" in answer.headers["content-security-policy"]
    assert {name: answer.headers.get(name) for name in HEADERS} == HEADERS
