"""What may be said of an OpenID provider."""

from __future__ import annotations

from typing import Any

import pytest

import starwire


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"issuer": ""}, "issuer is missing"),
        ({"issuer": "http://id.example.com"}, "must be https"),
        ({"issuer": "id.example.com"}, "must be an address"),
        ({"audience": ""}, "audience is missing"),
        ({"audience": []}, "audience is missing"),
        ({"audience": ["mygame", ""]}, "audience is missing"),
        ({"jwks_url": "http://id.example.com/keys"}, "must be https"),
        ({"jwks_url": "http://127.0.0.1.example.com/keys"}, "must be https"),
        ({"jwks_url": "ftp://localhost/keys"}, "must be https"),
        ({"jwks_url": "file:///keys"}, "must be an address"),
        ({"jwks_url": "https://me:secret@id.example.com/keys"}, "must be an address"),
        ({"jwks_url": "https://id.example.com/keys#1"}, "must be an address"),
        ({"jwks_url": "https://id.example.com:port/keys"}, "is no address"),
        ({"jwks_url": "https://id.example.com/\nkeys"}, "must be an address"),
        ({"algorithms": ["none"]}, "none checks nothing"),
        ({"algorithms": ["RS256", "HS256"]}, "HS256 checks nothing"),
        ({"algorithms": []}, "no algorithm checks nothing"),
    ],
)
def test_a_provider_that_would_let_others_in_is_refused_in_one_line(
    changes: dict[str, Any], says: str
) -> None:
    described: dict[str, Any] = {"issuer": "https://id.example.com", "audience": "mygame"} | changes
    with pytest.raises(starwire.ConfigurationError, match=says) as caught:
        starwire.OpenID(**described)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("host", ["127.0.0.1:8080", "localhost", "[::1]:1"])
def test_on_this_machine_keys_may_be_asked_for_without_https(host: str) -> None:
    made = starwire.OpenID(issuer="any", audience="mygame", jwks_url=f"http://{host}/keys")
    assert made.audience == ("mygame",)
