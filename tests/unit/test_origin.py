"""Which pages may talk to the server: under our own names, from their own origin or one that is allowed."""

import pytest
from websockets.datastructures import Headers

from starwire.gateway.origin import Entrance, host_name, is_allowed, is_ours, normal, not_ours

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


NAMES = ("play.example.com", "fe80::1")


@pytest.mark.parametrize(
    "host",
    [
        "",
        "localhost",
        "LOCALHOST:8000",
        "game.localhost:80",
        "127.0.0.1:8000",
        "192.0.2.7",
        "[::1]",
        "[2001:db8::1]:8000",
        "play.example.com",
        "Play.Example.Com.:443",
    ],
)
def test_names_of_ours_and_addresses_are_ours(host: str) -> None:
    assert is_ours(host, NAMES)


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "play.example.com.evil.example",
        "evilplay.example.com",
        "x.play.example.com",
        "localhost.evil.example",
        "notlocalhost",
        ".localhost.evil.example:80",
        "127.0.0.1.evil.example",
        "127.1",
        "0x7f.0.0.1",
        ":8000",
        "evil.example#localhost",
        "evil.example@localhost",
        "[::1].evil.example",
        "*",
        "🌴.example",
    ],
)
def test_every_other_name_is_somebody_elses(host: str) -> None:
    assert not is_ours(host, NAMES)
    assert "STARWIRE_HOSTS" in not_ours(host)
    assert not_ours(host).isascii()


def test_any_name_is_ours_where_that_is_said() -> None:
    assert is_ours("anything.example:1", ("*",))


def test_a_name_is_compared_without_port_case_and_final_dot() -> None:
    hosts = ("A.Example.:80", "[::1]:80", "::1", "10.0.0.1:80")
    assert [host_name(host) for host in hosts] == ["a.example", "::1", "::1", "10.0.0.1"]


PROXY = "10.0.0.1"


def entrance() -> Entrance:
    return Entrance(hosts=("play.example.com",), origins=("https://cdn.example",), proxies=("10.0.0.0/24",))


@pytest.mark.parametrize(
    ("headers", "peer", "status"),
    [
        ({"Host": "play.example.com"}, "192.0.2.1", None),
        ({"Host": "play.example.com", "Origin": "http://play.example.com"}, "192.0.2.1", None),
        ({"Host": "play.example.com", "Origin": "https://play.example.com"}, "192.0.2.1", 403),
        ({"Host": "play.example.com", "Origin": "https://cdn.example"}, "192.0.2.1", None),
        ({"Host": "play.example.com", "Origin": "https://evil.example"}, "192.0.2.1", 403),
        ({"Host": "play.example.com", "Origin": "null"}, "192.0.2.1", 403),
        ({"Host": "evil.example", "Origin": "http://evil.example"}, "192.0.2.1", 421),
        ({"Host": "evil.example", "Origin": "https://cdn.example"}, "192.0.2.1", 421),
        ({}, "192.0.2.1", None),
        ({"Origin": "https://evil.example"}, "192.0.2.1", 403),
    ],
)
def test_who_may_come_in(headers: dict[str, str], peer: str, status: int | None) -> None:
    refusal = entrance().refusal(Headers(headers), peer, tls=False)
    assert (None if refusal is None else refusal[0]) == status


@pytest.mark.parametrize(
    ("peer", "tls", "proto", "allowed"),
    [
        ("192.0.2.1", True, None, True),
        ("192.0.2.1", False, None, False),
        (PROXY, False, "https", True),
        (PROXY, False, "http", False),
        ("192.0.2.1", False, "https", False),
        ("", False, "https", False),
        ("not an address", False, "https", False),
    ],
)
def test_a_page_over_https_is_our_own_where_the_connection_or_a_proxy_that_we_trust_says_so(
    peer: str, tls: bool, proto: str | None, allowed: bool
) -> None:
    headers = Headers({"Host": "play.example.com", "Origin": "https://play.example.com"})
    if proto is not None:
        headers["X-Forwarded-Proto"] = proto
    assert (entrance().refusal(headers, peer, tls=tls) is None) is allowed


@pytest.mark.parametrize("twice", ["Host", "Origin"])
def test_a_request_that_names_two_is_refused(twice: str) -> None:
    headers = Headers([("Host", "localhost"), (twice, "localhost"), (twice, "localhost")])
    refusal = entrance().refusal(headers, "192.0.2.1", tls=False)
    assert refusal is not None
    assert refusal[0] == 400


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("192.0.2.1", ["203.0.113.9"], "192.0.2.1"),
        (PROXY, [], PROXY),
        (PROXY, ["203.0.113.9"], "203.0.113.9"),
        (PROXY, ["198.51.100.1, 203.0.113.9"], "203.0.113.9"),
        (PROXY, ["198.51.100.1", "203.0.113.9"], "203.0.113.9"),
        (PROXY, ["203.0.113.9, 10.0.0.2"], "203.0.113.9"),
        (PROXY, ["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        (PROXY, ["203.0.113.9:5000"], "203.0.113.9"),
        (PROXY, ["[2001:db8::1]:5000"], "2001:db8::1"),
        (PROXY, ["2001:db8::1"], "2001:db8::1"),
        (PROXY, ["203.0.113.9, "], PROXY),
        (PROXY, [""], PROXY),
    ],
)
def test_where_a_client_comes_from(peer: str, forwarded: list[str], address: str) -> None:
    headers = Headers([("X-Forwarded-For", each) for each in forwarded])
    assert entrance().address(headers, peer) == address
