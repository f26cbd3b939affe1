"""An OpenID provider on a port of this machine: it publishes keys, signs tokens, and fails when told to."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

import starwire
from starwire.clock import Clock, ManualClock
from starwire.gateway.openid import ProviderTokens
from starwire.gateway.tokens import InvalidToken
from starwire.limits import Limits

Private = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
RSA_KEYS = [rsa.generate_private_key(65_537, 2_048) for _ in range(2)]
"""Made once: each takes a tenth of a second."""
MINUTE = 60_000_000


def published(key: Private, id: str | None = None, **more: Any) -> dict[str, Any]:
    """The public half of a key, as a provider publishes it."""
    public = key.public_key()
    entry: dict[str, Any]
    if isinstance(public, rsa.RSAPublicKey):
        entry = RSAAlgorithm.to_jwk(public, as_dict=True)
        entry.pop("key_ops", None)
    elif isinstance(public, ec.EllipticCurvePublicKey):
        entry = ECAlgorithm.to_jwk(public, as_dict=True)
    else:
        entry = OKPAlgorithm.to_jwk(public, as_dict=True)
    if id is not None:
        entry["kid"] = id
    return entry | {"use": "sig"} | more


@dataclass
class Provider:
    """What the provider publishes and counts."""

    clock: Clock
    url: str = ""
    keys: list[dict[str, Any]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    """The paths that were asked for, in order."""
    answer: Callable[[str], tuple[int, dict[str, str], bytes]] | None = None
    """Instead of what it publishes: status, headers, body for a path."""
    gate: threading.Event = field(default_factory=threading.Event)
    """While it is cleared nothing is answered."""

    def sign(
        self,
        key: Private | bytes | str,
        id: str | None = None,
        *,
        algorithm: str = "RS256",
        headers: dict[str, Any] | None = None,
        **claims: Any,
    ) -> str:
        """A token that is good for a quarter of an hour; claims that are None are left out."""
        now = self.clock.now() // 1_000_000
        usual = {"iss": self.url, "aud": "mygame", "sub": "ann", "iat": now, "exp": now + 900}
        payload = {name: value for name, value in (usual | claims).items() if value is not None}
        named = {"kid": id} if id is not None else {}
        return jwt.encode(payload, key, algorithm=algorithm, headers=named | (headers or {}))

    def say(self, path: str) -> tuple[int, dict[str, str], bytes]:
        """What it answers."""
        self.asked.append(path)
        self.gate.wait(10)
        if self.answer is not None:
            return self.answer(path)
        if path == "/.well-known/openid-configuration":
            return 200, {}, json.dumps({"issuer": self.url, "jwks_uri": f"{self.url}/keys"}).encode()
        return 200, {}, json.dumps({"keys": self.keys}).encode()


@contextmanager
def providing(clock: Clock) -> Iterator[Provider]:
    """A provider that answers while the block runs."""
    provider = Provider(clock)
    provider.gate.set()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, headers, body = provider.say(self.path)
            self.send_response(status)
            for name, value in ({"Content-Length": str(len(body))} | headers).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    provider.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield provider
    finally:
        provider.gate.set()
        server.shutdown()
        server.server_close()


def trusting(provider: Provider, *, limits: Limits | None = None, **options: Any) -> ProviderTokens:
    """A gateway's side of this provider."""
    described: dict[str, Any] = {"issuer": provider.url, "audience": "mygame"}
    described |= {"jwks_url": f"{provider.url}/keys"} | options
    return ProviderTokens(starwire.OpenID(**described), provider.clock, limits or Limits())


def later(clock: ManualClock, seconds: float) -> None:
    clock.set(clock.now() + int(seconds * 1_000_000))


async def refused(tokens: ProviderTokens, token: str) -> InvalidToken:
    with pytest.raises(InvalidToken) as caught:
        await tokens(token)
    return caught.value
