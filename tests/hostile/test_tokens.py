"""Tokens that were forged, bent, borrowed or played again: each is refused with the documented codes."""

import base64
import hmac
import json
import time
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from starwire.client import guest
from tests.hostile.wire import Wire
from tests.support.server import ServerProcess

HOUR = 3600
KEY = rsa.generate_private_key(public_exponent=65_537, key_size=2048)
PUBLIC = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

Claims = dict[str, Any]


def part(content: object) -> str:
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def signed(claims: object, secret: bytes, algorithm: str = "HS256", **header: Any) -> str:
    """A token by hand: no library that would refuse to make it."""
    signing = f"{part({'alg': algorithm, 'typ': 'JWT', **header})}.{part(claims)}"
    return f"{signing}.{part(hmac.digest(secret, signing.encode(), f'sha{algorithm[2:]}'))}"


def unsigned(claims: Claims, algorithm: object) -> str:
    return f"{part({'alg': algorithm, 'typ': 'JWT'})}.{part(claims)}."


def bent(token: str, secret: bytes) -> dict[str, str]:
    """Everything that can be made of a good token, with the server's own secret where that helps."""
    head, body, signature = token.split(".")
    claims: Claims = json.loads(base64.urlsafe_b64decode(body + "=="))
    now = int(time.time())
    jwk = {"kty": "oct", "k": part(b"k" * 32)}
    return {
        "nobody signed": unsigned(claims, "none"),
        "nobody signed, in capitals": unsigned(claims, "NONE"),
        "nobody signed, and says nothing of it": unsigned(claims, None),
        "no algorithm, the old signature": f"{part({'alg': 'none'})}.{body}.{signature}",
        "another key": signed(claims, b"k" * 64),
        "no key": signed(claims, b""),
        "another size of hash": signed(claims, secret, "HS512"),
        "a key pair of their own": jwt.encode(claims, KEY, "RS256"),
        "a public key as the secret": signed(claims, PUBLIC),
        "their key in the header": signed(claims, b"k" * 32, jwk=jwk),
        "their key at an address": signed(claims, b"k" * 32, jku="http://127.0.0.1:1/keys", kid="k"),
        "a key that is a file": signed(claims, b"", kid="../../../../dev/null"),
        "a key that is a query": signed(claims, b"k", kid="' UNION SELECT 'k"),
        "what nobody understands is critical": signed(claims, secret, crit=["x"], x=1),
        "another player, the old signature": f"{head}.{part({**claims, 'sub': '1'})}.{signature}",
        "the end of the signature gone": token[:-4],
        "a signature that is longer": token + "AAAA",
        "another audience": signed({**claims, "aud": "somebody"}, secret),
        "no audience": signed({k: v for k, v in claims.items() if k != "aud"}, secret),
        "another issuer": signed({**claims, "iss": "https://evil.example"}, secret),
        "no issuer": signed({k: v for k, v in claims.items() if k != "iss"}, secret),
        "expired": signed({**claims, "iat": now - HOUR, "exp": now - 120}, secret),
        "never expires": signed({k: v for k, v in claims.items() if k != "exp"}, secret),
        "expires in words": signed({**claims, "exp": "tomorrow"}, secret),
        "expires at no number": signed({**claims, "exp": float("inf")}, secret),
        "not yet valid": signed({**claims, "nbf": now + HOUR}, secret),
        "from the future": signed({**claims, "iat": now + HOUR, "exp": now + 2 * HOUR}, secret),
        "no player": signed({k: v for k, v in claims.items() if k != "sub"}, secret),
        "a player that is no text": signed({**claims, "sub": 1}, secret),
        "a session that is no text": signed({**claims, "sid": ["a"]}, secret),
        "no session, and for long": signed({k: v for k, v in claims.items() if k != "sid"}, secret),
        "claims that are a list": signed([claims], secret),
        "nothing": "",
        "dots": "..",
        "many dots": "." * 10_000,
        "no base64": "é.é.é",
        "a token within a token": f"{part(token.encode())}.{part(token.encode())}.{signature}",
        "longer than any": f"{head}.{part({**claims, 'name': 'x' * 40_000})}.{signature}",
        "encrypted": f"{part({'alg': 'dir', 'enc': 'A256GCM'})}..{part(b'x' * 12)}.{body}.{signature}",
    }


@pytest.fixture
def secret(server: ServerProcess) -> bytes:
    return (server.data / "secret").read_bytes().strip()


async def test_the_forger_here_can_make_a_good_token(
    server: ServerProcess, token: str, secret: bytes
) -> None:
    """Else the other tests would refuse anything."""
    claims: Claims = jwt.decode(token, secret, ["HS256"], audience="starwire")
    async with Wire.greeted(server.port, signed(claims, secret)):
        pass


async def test_a_forged_token_is_answered_with_unauthorized_and_closed_with_4401(
    server: ServerProcess, token: str, secret: bytes
) -> None:
    wrong = {}
    for name, forged in bent(token, secret).items():
        async with Wire.open(server.port) as wire:
            reply = await wire.ask("hello", "h", token=forged)
            code = reply.get("error", {}).get("code")
            if (code, (await wire.end()).code) != ("unauthorized", 4401):
                wrong[name] = (reply, wire.closed)
    assert not wrong


async def test_a_token_that_is_no_text_is_an_invalid_argument(server: ServerProcess) -> None:
    async with Wire.open(server.port) as wire:
        for no_text in (None, 1, True, ["a"], {"a": 1}):
            assert (await wire.ask("hello", "h", token=no_text))["error"]["code"] == "invalid_args"


async def test_a_forged_token_does_not_refresh_a_connection_either(
    server: ServerProcess, token: str, secret: bytes
) -> None:
    for forged in list(bent(token, secret).values())[:20]:
        async with Wire.greeted(server.port, token) as wire:
            assert (await wire.ask("refresh", "r", token=forged))["error"]["code"] == "unauthorized"
            assert (await wire.ask("write", "w", mark="still here"))["ok"]


async def test_a_token_of_somebody_else_does_not_refresh_a_connection(
    server: ServerProcess, token: str
) -> None:
    other = await guest(server.url)
    async with Wire.greeted(server.port, token) as wire:
        before = await wire.ask("count", "a")
        assert (await wire.ask("refresh", "r", token=other["access_token"]))["error"][
            "code"
        ] == "unauthorized"
        assert (await wire.ask("count", "b"))["positions"] == before["positions"]


async def test_a_token_that_is_played_again_after_its_session_ended_is_refused_with_4403(
    server: ServerProcess,
) -> None:
    account = await guest(server.url)
    async with Wire.greeted(server.port, account["access_token"]) as wire:
        server.post("/auth/logout", {"refresh_token": account["refresh_token"]})
        assert (await wire.end()).code == 4403
    async with Wire.open(server.port) as wire:
        assert (await wire.ask("hello", "h", token=account["access_token"]))["error"][
            "code"
        ] == "unauthorized"
        assert (await wire.end()).code == 4403


async def test_a_refresh_token_is_no_access_token(server: ServerProcess) -> None:
    account = await guest(server.url)
    async with Wire.open(server.port) as wire:
        assert (await wire.ask("hello", "h", token=account["refresh_token"]))["error"][
            "code"
        ] == "unauthorized"
        assert (await wire.end()).code == 4401
