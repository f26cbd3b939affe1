"""The keys of an OpenID provider: when they are fetched, how long they serve, and what is no key."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from starwire.clock import ManualClock
from starwire.gateway.keys import KeysUnavailable
from starwire.gateway.tokens import InvalidToken
from starwire.identity import Identity
from starwire.limits import Limits
from tests.contract.harness import eventually
from tests.support.provider import RSA_KEYS, Provider, later, providing, published, refused, trusting

FIRST, SECOND = RSA_KEYS
P384 = ec.generate_private_key(ec.SECP384R1())
HOUR = 3600.0


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def provider(clock: ManualClock) -> Iterator[Provider]:
    with providing(clock) as made:
        made.keys = [published(FIRST, "1")]
        yield made


@pytest.mark.parametrize(
    "entry",
    [
        {"kty": "oct", "k": "c2VjcmV0", "kid": "1"},
        published(FIRST, "1", use="enc"),
        published(FIRST, "1", key_ops=["encrypt"]),
        published(FIRST, "1", alg="RS512"),
        published(FIRST, "1", kty="EC"),
        published(FIRST, "1", n="!"),
        published(rsa.generate_private_key(65_537, 1_024), "1"),
        published(P384, "1", crv="P-256"),
        published(FIRST) | {"kid": 1},
        {"kty": "RSA"},
        "a text",
        None,
    ],
)
async def test_what_is_no_key_for_signatures_is_passed_over(provider: Provider, entry: Any) -> None:
    provider.keys = [entry, published(SECOND, "2")]
    tokens = trusting(provider)
    await refused(tokens, provider.sign(FIRST, "1"))
    assert (await tokens(provider.sign(SECOND, "2"))).sub == "ann"


async def test_a_new_key_is_fetched_when_a_token_names_it_and_an_old_one_goes(
    provider: Provider, clock: ManualClock
) -> None:
    tokens = trusting(provider)
    await tokens(provider.sign(FIRST, "1"))
    later(clock, 10)
    provider.keys = [published(SECOND, "2")]
    assert (await tokens(provider.sign(FIRST, "1"))).sub == "ann", "nobody has asked since"
    assert (await tokens(provider.sign(SECOND, "2"))).sub == "ann"
    assert provider.asked == ["/keys", "/keys"]
    await refused(tokens, provider.sign(FIRST, "1"))


async def test_keys_are_fetched_again_after_their_time_and_nobody_waits_for_it(
    provider: Provider, clock: ManualClock
) -> None:
    tokens = trusting(provider)
    token = provider.sign(FIRST, "1", exp=clock.now() // 1_000_000 + 100_000)
    for _ in range(5):
        await tokens(token)
    later(clock, HOUR + 1)
    provider.gate.clear()
    provider.keys = [published(SECOND, "2")]
    await tokens(token)
    provider.gate.set()
    await refused(tokens, provider.sign(SECOND, "9"))  # waits for the fetch under way
    assert provider.asked == ["/keys", "/keys"]
    await refused(tokens, token)


async def test_a_flood_of_unknown_keys_asks_once_in_an_interval(
    provider: Provider, clock: ManualClock
) -> None:
    tokens = trusting(provider)
    good, forged = provider.sign(FIRST, "1"), [provider.sign(SECOND, f"x{n}") for n in range(50)]
    await tokens(good)
    for interval in range(1, 4):
        later(clock, 10)
        outcomes = await asyncio.gather(*map(tokens, [*forged, good]), return_exceptions=True)
        assert [type(each) for each in outcomes] == [InvalidToken] * 50 + [Identity]
        later(clock, 9)
        outcomes = await asyncio.gather(*map(tokens, [*forged, good]), return_exceptions=True)
        assert [type(each) for each in outcomes] == [InvalidToken] * 50 + [Identity]
        assert len(provider.asked) == 1 + interval


async def test_many_at_once_wait_for_one_fetch(provider: Provider) -> None:
    tokens = trusting(provider)
    token = provider.sign(FIRST, "1")
    provider.gate.clear()
    waiting = [asyncio.ensure_future(tokens(token)) for _ in range(100)]
    await eventually(lambda: provider.asked, "the fetch")
    provider.gate.set()
    assert {each.sub for each in await asyncio.gather(*waiting)} == {"ann"}
    assert provider.asked == ["/keys"]


async def test_while_a_fetch_takes_long_no_other_is_begun(provider: Provider, clock: ManualClock) -> None:
    tokens = trusting(provider)
    provider.gate.clear()
    waiting = []
    for _ in range(3):
        waiting.append(asyncio.ensure_future(tokens(provider.sign(FIRST, "1"))))
        await eventually(lambda: provider.asked, "the fetch")
        later(clock, 10)
    provider.gate.set()
    assert {each.sub for each in await asyncio.gather(*waiting)} == {"ann"}
    assert provider.asked == ["/keys"]


async def test_a_provider_that_does_not_answer_holds_up_neither_the_loop_nor_other_tokens(
    provider: Provider, clock: ManualClock
) -> None:
    tokens = trusting(provider)
    good = provider.sign(FIRST, "1")
    await tokens(good)
    later(clock, 10)
    provider.gate.clear()
    waiting = asyncio.ensure_future(tokens(provider.sign(SECOND, "2")))
    await eventually(lambda: len(provider.asked) == 2, "the fetch")
    for _ in range(100):
        assert (await tokens(good)).sub == "ann"
    assert not waiting.done()
    provider.keys.append(published(SECOND, "2"))
    provider.gate.set()
    assert (await waiting).sub == "ann"


async def test_who_waits_for_a_provider_that_does_not_answer_is_told_in_time(provider: Provider) -> None:
    tokens = trusting(provider, limits=Limits(openid_fetch_seconds=0.05))
    provider.gate.clear()
    with pytest.raises(KeysUnavailable):
        await tokens(provider.sign(FIRST, "1"))
    assert len(provider.asked) == 1


async def test_while_the_provider_is_away_known_keys_serve_for_a_day_and_no_longer(
    provider: Provider, clock: ManualClock
) -> None:
    tokens = trusting(provider)
    token = provider.sign(FIRST, "1", exp=clock.now() // 1_000_000 + 1_000_000)
    await tokens(token)
    provider.answer = lambda _: (503, {}, b"away")
    for _ in range(24):
        later(clock, HOUR - 1)
        assert (await tokens(token)).sub == "ann"
    later(clock, 30)
    with pytest.raises(KeysUnavailable):
        await tokens(token)
    with pytest.raises(KeysUnavailable):
        await tokens(token)
    asked = len(provider.asked)
    provider.answer = None
    later(clock, 9)
    with pytest.raises(KeysUnavailable):
        await tokens(token)
    assert len(provider.asked) == asked, "not more often, though everybody waits for it"
    later(clock, 1)
    assert (await tokens(token)).sub == "ann"


async def test_a_key_that_cannot_be_asked_for_is_no_fault_of_the_token(
    provider: Provider, clock: ManualClock
) -> None:
    tokens = trusting(provider)
    await tokens(provider.sign(FIRST, "1"))
    later(clock, 10)
    provider.answer = lambda _: (503, {}, b"away")
    for _ in range(3):
        with pytest.raises(KeysUnavailable):
            await tokens(provider.sign(SECOND, "2"))
    assert len(provider.asked) == 2
    later(clock, 10)
    provider.answer, provider.keys = None, [published(SECOND, "2")]
    assert (await tokens(provider.sign(SECOND, "2"))).sub == "ann"


@pytest.mark.parametrize(
    ("status", "headers", "body"),
    [
        (404, {}, b"{}"),
        (302, {"Location": "/elsewhere"}, b""),
        (200, {}, b"<html>"),
        (200, {}, b"[]"),
        (200, {}, b'{"keys":7}'),
        (200, {}, b'{"keys":[]}'),
        (200, {}, b"[" * 100_000),
        (200, {}, b"\xff"),
        (200, {}, json.dumps({"keys": [published(FIRST, "1")], "pad": "x" * 300_000}).encode()),
        (200, {"Content-Length": "99"}, json.dumps({"keys": [published(FIRST, "1")]}).encode()[:90]),
    ],
    ids=["missing", "moved", "page", "list", "number", "empty", "deep", "binary", "large", "cut"],
)
async def test_a_document_that_is_not_one_of_keys_is_none(
    provider: Provider, status: int, headers: dict[str, str], body: bytes
) -> None:
    provider.answer = lambda _: (status, headers, body)
    with pytest.raises(KeysUnavailable):
        await trusting(provider)(provider.sign(FIRST, "1"))
    assert provider.asked == ["/keys"]


async def test_a_set_of_keys_of_the_largest_size_is_read_and_one_byte_more_is_not(provider: Provider) -> None:
    keys = json.dumps({"keys": [published(FIRST, "1")]}).encode()
    provider.answer = lambda _: (200, {}, keys.ljust(2_000))
    exact, less = Limits(openid_document_bytes=2_000), Limits(openid_document_bytes=1_999)
    assert (await trusting(provider, limits=exact)(provider.sign(FIRST, "1"))).sub == "ann"
    with pytest.raises(KeysUnavailable, match="more than 1999 bytes"):
        await trusting(provider, limits=less)(provider.sign(FIRST, "1"))
