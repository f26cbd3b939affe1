"""Tokens of an OpenID provider: a real one on this machine, with real keys, and whatever may go wrong."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

import starwire
from starwire.clock import ManualClock
from starwire.config import Settings
from starwire.gateway.keys import KeysUnavailable
from starwire.gateway.tokens import InvalidToken
from starwire.identity import Identity
from starwire.limits import Limits
from starwire.server import Server
from tests.contract.harness import Client, Embedded, Gateway
from tests.support.provider import RSA_KEYS, Provider, later, providing, published, refused, trusting

FIRST, SECOND = RSA_KEYS
P256, P384 = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP384R1())
ED25519 = ed25519.Ed25519PrivateKey.generate()
EVERY = ("RS256", "PS256", "ES256", "ES384", "EdDSA")
HOUR = 3600.0
LIMITS = Limits(openid_refetch_seconds=10, openid_keys_seconds=HOUR, openid_stale_seconds=24 * HOUR)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def provider(clock: ManualClock) -> Iterator[Provider]:
    with providing(clock) as made:
        made.keys = [published(FIRST, "1")]
        yield made


# Who a token is for


async def test_a_token_of_the_provider_says_who_it_is(provider: Provider) -> None:
    tokens = trusting(provider, claims=("operator", "level"))
    now = provider.clock.now()
    identity = await tokens(
        provider.sign(FIRST, "1", name="Ann", sid="s1", operator=True, level=3, email="ann@example.com")
    )
    expected = Identity("ann", "Ann", {"operator": True, "level": 3}, now + 930_000_000, "s1")
    assert identity == expected
    assert identity.allows("operator")


async def test_a_token_may_lack_what_only_adorns(provider: Provider) -> None:
    tokens = trusting(provider)
    assert await tokens(provider.sign(FIRST, "1", iat=None)) == Identity(
        "ann", expires_at=provider.clock.now() + 930_000_000
    )
    assert (await tokens(provider.sign(FIRST, "1", preferred_username="annie"))).name == "annie"
    assert (await tokens(provider.sign(FIRST, "1", name=["Ann"], sid=7))).name == ""


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [(FIRST, "RS256"), (FIRST, "PS256"), (P256, "ES256"), (P384, "ES384"), (ED25519, "EdDSA")],
)
async def test_every_kind_of_key_is_understood(provider: Provider, key: Any, algorithm: str) -> None:
    provider.keys = [published(key, "k")]
    tokens = trusting(provider, algorithms=EVERY)
    assert (await tokens(provider.sign(key, "k", algorithm=algorithm))).sub == "ann"


async def test_without_an_address_of_the_keys_the_provider_is_asked_for_it(provider: Provider) -> None:
    tokens = trusting(provider, jwks_url=None)
    assert (await tokens(provider.sign(FIRST, "1"))).sub == "ann"
    assert provider.asked == ["/.well-known/openid-configuration", "/keys"]


@pytest.mark.parametrize(
    "described",
    [
        {"issuer": "https://id.example.com", "jwks_uri": "{url}/keys"},
        {"issuer": "{url}/", "jwks_uri": "{url}/keys"},
        {"issuer": "{url}"},
        {"issuer": "{url}", "jwks_uri": "http://id.example.com/keys"},
        {"issuer": "{url}", "jwks_uri": "file:///etc/passwd"},
        ["issuer"],
    ],
)
async def test_a_description_of_another_provider_or_of_an_unsafe_address_is_not_believed(
    provider: Provider, described: Any
) -> None:
    body = json.dumps(described).replace("{url}", provider.url).encode()
    provider.answer = lambda _: (200, {}, body)
    with pytest.raises(KeysUnavailable):
        await trusting(provider, jwks_url=None)(provider.sign(FIRST, "1"))
    assert provider.asked == ["/.well-known/openid-configuration"]


async def test_without_a_key_id_the_only_key_of_its_kind_is_meant_and_never_one_of_several(
    provider: Provider,
) -> None:
    provider.keys = [published(FIRST)]
    tokens = trusting(provider)
    assert (await tokens(provider.sign(FIRST))).sub == "ann"
    provider.keys = [published(FIRST), published(P256), published(P384)]
    tokens = trusting(provider, algorithms=EVERY)
    for key, algorithm in ((FIRST, "RS256"), (P256, "ES256"), (P384, "ES384")):
        assert (await tokens(provider.sign(key, algorithm=algorithm))).sub == "ann"
    provider.keys = [published(FIRST), published(SECOND)]
    await refused(trusting(provider), provider.sign(FIRST))


# Forged ones


def pem(key: Any) -> bytes:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    text: bytes = key.public_key().public_bytes(serialization.Encoding.PEM, form)
    return text


def segment(value: Any) -> str:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def by_hand(provider: Provider, header: dict[str, Any], secret: bytes = b"") -> str:
    """A token that no library would make; signed HS256 with a secret, if one is given."""
    body = provider.sign(FIRST, "1").split(".")[1]
    signed = f"{segment(header)}.{body}"
    signature = hmac.new(secret, signed.encode(), hashlib.sha256).digest() if secret else b""
    return f"{signed}.{segment(signature) if secret else ''}"


def forgeries(provider: Provider) -> dict[str, str]:
    good = provider.sign(FIRST, "1")
    head, body, signature = good.split(".")
    other = json.loads(base64.urlsafe_b64decode(body + "==")) | {"sub": "bob"}
    public = published(FIRST, "1")
    return {
        "no signature": by_hand(provider, {"alg": "none", "kid": "1"}),
        "no signature, in other letters": by_hand(provider, {"alg": "nOnE", "kid": "1"}),
        "the signature cut off": f"{head}.{body}.",
        "the public key as a secret": by_hand(provider, {"alg": "HS256", "kid": "1"}, pem(FIRST)),
        "the published key as a secret": by_hand(
            provider, {"alg": "HS256", "kid": "1"}, json.dumps(public).encode()
        ),
        "another body": f"{head}.{segment(other)}.{signature}",
        "another key of the same name": provider.sign(SECOND, "1"),
        "a key that nobody published": provider.sign(SECOND, "9"),
        "a key of its own in the header": provider.sign(
            SECOND, "1", headers={"jwk": published(SECOND, "1"), "x5c": ["MII"]}
        ),
        "an address of its own in the header": provider.sign(
            SECOND, "9", headers={"jku": f"{provider.url}/mine", "x5u": f"{provider.url}/mine"}
        ),
        "an algorithm that is not taken": provider.sign(FIRST, "1", algorithm="RS512"),
        "an algorithm that is no text": by_hand(provider, {"alg": ["RS256"], "kid": "1"}),
        "no algorithm": by_hand(provider, {"kid": "1"}),
        "another kind of key": by_hand(provider, {"alg": "ES256", "kid": "1"}, b"x"),
        "a key id that is no text": by_hand(provider, {"alg": "RS256", "kid": 1}),
        "a key id without end": provider.sign(FIRST, "1" * 300),
        "something critical that nobody knows": provider.sign(FIRST, "1", headers={"crit": ["exp2"]}),
        "an encrypted one": f"{good}.{signature}.{signature}",
        "two signatures": json.dumps({"payload": body, "signatures": []}),
        "another audience": provider.sign(FIRST, "1", aud="othergame"),
        "other audiences": provider.sign(FIRST, "1", aud=["othergame", "mygame2"]),
        "no audience": provider.sign(FIRST, "1", aud=None),
        "another issuer": provider.sign(FIRST, "1", iss="https://evil.example"),
        "an issuer that begins like ours": provider.sign(FIRST, "1", iss=f"{provider.url}/"),
        "no issuer": provider.sign(FIRST, "1", iss=None),
        "nobody": provider.sign(FIRST, "1", sub=None),
        "an empty name": provider.sign(FIRST, "1", sub=""),
        "a number for a name": by_number(provider, sub=42),
        "a name that cannot be printed": provider.sign(FIRST, "1", sub="ann\n\ud800"),
        "no end": provider.sign(FIRST, "1", exp=None),
        "an end that is no time": by_number(provider, exp="tomorrow"),
        "an end that never comes": by_number(provider, exp=float("inf")),
        "an end that is not a number": by_number(provider, exp=float("nan")),
        "an end beyond all ends": by_number(provider, exp=10**400),
        "a switch for an end": by_number(provider, exp=True),
        "a beginning that is no number": by_number(provider, nbf=float("nan")),
    }


def by_number(provider: Provider, **claims: Any) -> str:
    """Signed by the provider, with claims that PyJWT itself would not sign."""
    now = provider.clock.now() // 1_000_000
    usual = {"iss": provider.url, "aud": "mygame", "sub": "ann", "iat": now, "exp": now + 900}
    return jwt.PyJWS().encode(json.dumps(usual | claims).encode(), FIRST, "RS256", {"kid": "1"})


async def test_no_forged_token_gets_in_and_the_right_one_still_does(provider: Provider) -> None:
    tokens = trusting(provider)
    good = provider.sign(FIRST, "1")
    assert (await tokens(good)).sub == "ann"
    for what, forged in forgeries(provider).items():
        later(provider.clock, 20)  # type: ignore[arg-type]
        (outcome,) = await asyncio.gather(tokens(forged), return_exceptions=True)
        assert isinstance(outcome, InvalidToken), f"{what} got in, or worse: {outcome!r}"
        assert not outcome.revoked, what
        assert forged not in outcome.message, what
    assert (await tokens(provider.sign(FIRST, "1"))).sub == "ann"
    assert set(provider.asked) == {"/keys"}, "no address of a token is asked"


@pytest.mark.parametrize(
    "token", ["", "x", "a.b.c", "é" * 20, "\ud800", "." * 1000, "e30.e30.e30", "A" * 60_000]
)
async def test_any_other_text_is_no_token_and_nobody_is_asked_about_it(
    provider: Provider, token: str
) -> None:
    await refused(trusting(provider), token)
    assert provider.asked == []


async def test_a_token_is_good_from_its_beginning_to_its_end_and_a_little_beyond(
    provider: Provider, clock: ManualClock
) -> None:
    tokens, now = trusting(provider), clock.now() // 1_000_000
    token = provider.sign(FIRST, "1", nbf=now + 100, iat=now, exp=now + 200)
    later(clock, 69)
    assert "not valid yet" in (await refused(tokens, token)).message
    later(clock, 1)  # the leeway is half a minute
    assert (await tokens(token)).expires_at == (now + 230) * 1_000_000
    later(clock, 159.9)
    await tokens(token)
    later(clock, 0.1)
    assert (await refused(tokens, token)).expired
    early = provider.sign(FIRST, "1", iat=now + 1000, exp=now + 2000)
    assert "not valid yet" in (await refused(tokens, early)).message


# At the door


async def welcome(engine: Gateway, token: str) -> Client:
    client = await engine.open(player="ann")
    await client.command("hello", token=token)
    return client


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[Gateway]:
    made = Embedded(tmp_path)
    yield made
    await made.close()


async def test_connections_live_by_the_providers_tokens(engine: Gateway) -> None:
    with providing(engine.clock) as provider:
        provider.keys = [published(FIRST, "1")]
        await engine.start(starwire.App("game", auth=starwire.OpenID(issuer=provider.url, audience="mygame")))
        ann = await engine.open(player="ann")
        hello = await ann.command("hello", token=provider.sign(FIRST, "1", name="Ann"))
        assert (hello["player"], hello["name"]) == ("ann", "Ann")
        await engine.advance(minutes=14.6)
        assert await ann.told("status") == {"type": "status", "token_expires_in": 54.0}
        provider.keys.append(published(SECOND, "2"))  # the next token is of a new key
        renewed = await ann.command("refresh", token=provider.sign(SECOND, "2"))
        assert renewed == {"expires_at": "2030-01-01T00:30:06.000000Z"}
        error = await ann.refused("refresh", token=provider.sign(SECOND, "1"))
        assert error["code"] == "unauthorized"
        await engine.advance(minutes=14)
        await ann.command("ping")
        await engine.advance(minutes=2)
        assert await ann.told_to_leave() == (4401, "the token has expired")


@pytest.mark.parametrize(
    ("away", "code", "error"), [(False, 4401, "unauthorized"), (True, 1011, "unavailable")]
)
async def test_who_is_refused_is_told_whether_it_was_the_token(
    engine: Gateway, away: bool, code: int, error: str
) -> None:
    with providing(engine.clock) as provider:
        provider.keys = [published(FIRST, "1")]
        auth = starwire.OpenID(issuer=provider.url, audience="mygame", jwks_url=f"{provider.url}/keys")
        await engine.start(starwire.App("game", auth=auth))
        known = await welcome(engine, provider.sign(FIRST, "1"))
        if away:
            provider.answer = lambda _: (503, {}, b"")
        await engine.advance(seconds=20)
        client = await engine.open()
        await client.order("hello", id="h", token=provider.sign(SECOND, "2"))
        assert (await client.told_to_leave())[0] == code
        assert client.replies("h")[0]["error"]["code"] == error
        await known.command("ping")
        await welcome(engine, provider.sign(FIRST, "1"))


class ToldByItsOperator(Embedded):
    """A server whose settings name a provider."""

    issuer: str

    async def start(self, app: starwire.App | None = None, **limits: Any) -> None:
        settings = Settings(
            port=0,
            data=self.folder / "data",
            dev=True,
            openid_issuer=self.issuer,
            openid_audience=("other", "mygame"),
            limits=Limits(**limits),
        )
        await self._serve(app or starwire.App("game"), settings)


async def test_an_operator_names_a_provider_without_code(tmp_path: Path) -> None:
    engine = ToldByItsOperator(tmp_path)
    with providing(engine.clock) as provider:
        provider.keys, engine.issuer = [published(FIRST, "1")], provider.url
        try:
            await engine.start()
            assert engine.server.accounts is None
            assert (await welcome(engine, provider.sign(FIRST, "1"))).closed is None
        finally:
            await engine.close()


def test_an_app_with_an_auth_of_its_own_and_a_provider_in_the_settings_do_not_start(tmp_path: Path) -> None:
    async def nobody(token: str) -> Identity:
        raise starwire.Unauthenticated("nobody")

    settings = Settings(data=tmp_path, openid_issuer="https://id.example.com", openid_audience=("mygame",))
    for auth in (nobody, starwire.OpenID(issuer="https://id.example.com", audience="mygame")):
        with pytest.raises(starwire.ConfigurationError, match="has an auth of its own"):
            Server(starwire.App("own", auth=auth), settings)
    assert list(tmp_path.iterdir()) == []
