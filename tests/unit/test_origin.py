"""Which pages may talk to the server: exact match, the page's own origin, and those allowed by name."""

import pytest

from starwire.gateway.origin import is_allowed, normal

ALLOWED = {"https://play.example.com"}


@pytest.mark.parametrize(
    ("origin", "scheme", "host"),
    [
        (None, "http", "game.example"),
        ("http://127.0.0.1:8000", "ws", "127.0.0.1:8000"),
        ("https://game.example", "https", "game.example"),
        ("https://game.example", "wss", "game.example:443"),
        ("HTTP://Game.Example", "http", "game.example:80"),
        ("https://play.example.com", "http", "127.0.0.1:8000"),
    ],
)
def test_a_page_of_this_server_or_of_the_allowlist_is_allowed(
    origin: str | None, scheme: str, host: str
) -> None:
    assert is_allowed(origin, scheme=scheme, host=host, allowlist=ALLOWED)


@pytest.mark.parametrize(
    "origin",
    [
        "null",
        "",
        "https://game.example",
        "http://game.example:8001",
        "http://game.example.evil.com",
        "http://evil.com/http://game.example",
        "http://evil.com#game.example",
        "http://user@game.example",
        "http://*.example",
        "file://game.example",
        "https://play.example.com.evil.com",
        "http://play.example.com",
    ],
)
def test_every_other_page_is_refused(origin: str) -> None:
    assert not is_allowed(origin, scheme="http", host="game.example", allowlist=ALLOWED)


def test_what_is_no_web_origin_has_no_normal_form() -> None:
    assert [normal(text) for text in ("", "game.example", "ftp://x", "https://x/y")] == [None] * 4
