"""The public keys of an OpenID provider: fetched when needed, kept for a while, never waited for by the loop.

::

    none ──fetch──→ fresh ──openid_keys_seconds──→ old ──openid_stale_seconds──→ none
                      ↑                             │ served, and fetched again beside
                      └────────────fetch────────────┘

A key that is not there makes the provider be asked again, since it may have changed its keys. However many
tokens ask for it, one fetch is under way at a time, and one is begun within ``openid_refetch_seconds``. A
provider that is away changes nothing for the keys at hand. What it has withdrawn is gone with the next fetch.

A fetch runs in a thread of its own that ends with the OS process, so a provider that never answers holds up
neither the loop nor a stop.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError
from urllib.request import HTTPRedirectHandler, ProxyHandler, Request, build_opener

import jwt
import msgspec
import structlog
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa

from starwire.clock import Clock
from starwire.errors import ConfigurationError, StarwireError
from starwire.limits import Limits
from starwire.openid import OpenID, is_on_this_machine, require_safe

log = structlog.get_logger("starwire.auth")

PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | ed448.Ed448PublicKey
RSA_BITS = 2_048  # NIST SP 800-131A allows no less
MOST_KEYS = 100
CURVES = {"ES256": "secp256r1", "ES384": "secp384r1", "ES512": "secp521r1"}


class KeysUnavailable(StarwireError):
    """The provider's keys cannot be had now. That is no token's fault."""


@dataclass(frozen=True, slots=True)
class Key:
    """A key that the provider publishes for signatures, of one ``algorithm`` only where it says so."""

    id: str | None
    algorithm: str | None
    public: PublicKey

    def is_for(self, algorithm: str) -> bool:
        """Whether a signature of this algorithm may be checked with the key."""
        if self.algorithm not in (None, algorithm):
            return False
        if algorithm[:2] in ("RS", "PS"):
            return isinstance(self.public, rsa.RSAPublicKey)
        if algorithm in CURVES:
            curve = CURVES[algorithm]
            return isinstance(self.public, ec.EllipticCurvePublicKey) and self.public.curve.name == curve
        return isinstance(self.public, ed25519.Ed25519PublicKey | ed448.Ed448PublicKey)


class Keys:
    """The keys of one provider, for one gateway."""

    def __init__(self, provider: OpenID, clock: Clock, limits: Limits) -> None:
        self._provider = provider
        self._clock = clock
        self._limits = limits
        self._keys: list[Key] = []
        self._fetched_at: float | None = None
        self._tried_at: float | None = None
        self._failed = False
        self._fetching: asyncio.Future[list[Key]] | None = None

    async def find(self, id: str | None, algorithm: str) -> Key | None:
        """The key of a token that names ``id`` and ``algorithm``; without ``id`` it must be the only one.

        Raises:
            KeysUnavailable: there are no keys that still count, or the provider could not be asked for this
                one.
        """
        age = self._age()
        if age is None or age > self._limits.openid_stale_seconds:
            await self._fetch()
        elif age > self._limits.openid_keys_seconds:
            self._begin()
        found = self._look(id, algorithm)
        if found is None and (self._fetching is not None or self._may_begin()):
            await self._fetch()
            found = self._look(id, algorithm)
        if found is None and self._failed:
            raise KeysUnavailable("The provider could not be asked for a key that is not known.")
        return found

    def _look(self, id: str | None, algorithm: str) -> Key | None:
        fit = [key for key in self._keys if (id is None or key.id == id) and key.is_for(algorithm)]
        return fit[0] if len(fit) == 1 else None

    def _age(self) -> float | None:
        return None if self._fetched_at is None else self._clock.monotonic() - self._fetched_at

    def _may_begin(self) -> bool:
        now = self._clock.monotonic()
        return self._tried_at is None or now - self._tried_at >= self._limits.openid_refetch_seconds

    async def _fetch(self) -> None:
        """Wait for the fetch under way, or for one that is begun now.

        Raises:
            KeysUnavailable: it failed, takes too long, or the last one failed a moment ago.
        """
        fetching = self._begin()
        if fetching is None:
            raise KeysUnavailable("The provider's keys could not be fetched a moment ago.")
        try:
            async with asyncio.timeout(self._limits.openid_fetch_seconds):
                await asyncio.shield(fetching)
        except TimeoutError:
            raise KeysUnavailable("The provider does not answer in time.") from None
        except OSError as error:
            raise KeysUnavailable(f"The provider's keys could not be fetched: {error}") from None

    def _begin(self) -> asyncio.Future[list[Key]] | None:
        """The fetch under way, or a new one; None when the last one was a moment ago."""
        if self._fetching is None and self._may_begin():
            self._tried_at = self._clock.monotonic()
            provider, limits = self._provider, self._limits
            self._fetching = _in_thread(lambda: fetch_keys(provider, limits))
            self._fetching.add_done_callback(self._done)
        return self._fetching

    def _done(self, fetching: asyncio.Future[list[Key]]) -> None:
        self._fetching = None
        error = fetching.exception()
        self._failed = error is not None
        if error is not None:
            log.warning("keys_not_fetched", issuer=self._provider.issuer, error=str(error))
            return
        self._keys, self._fetched_at = fetching.result(), self._clock.monotonic()
        log.info("keys_fetched", issuer=self._provider.issuer, keys=len(self._keys))


def _in_thread(work: Callable[[], list[Key]]) -> asyncio.Future[list[Key]]:
    loop = asyncio.get_running_loop()
    future: asyncio.Future[list[Key]] = loop.create_future()

    def tell(keys: list[Key] | None, error: Exception | None) -> None:
        if error is not None:
            future.set_exception(error)
        elif keys is not None:
            future.set_result(keys)

    def run() -> None:
        keys, error = None, None
        try:
            keys = work()
        except Exception as failure:  # noqa: BLE001 - whoever waits is told
            error = failure if isinstance(failure, OSError) else OSError(str(failure))
        with contextlib.suppress(RuntimeError):  # the server has stopped meanwhile
            loop.call_soon_threadsafe(tell, keys, error)

    threading.Thread(target=run, name="starwire-keys", daemon=True).start()
    return future


# In the thread


def fetch_keys(provider: OpenID, limits: Limits) -> list[Key]:
    """Ask the provider for its keys.

    Raises:
        OSError: it cannot be reached, or what it says is not usable; with the reason.
    """
    deadline = time.monotonic() + limits.openid_fetch_seconds
    url = provider.jwks_url
    if url is None:
        about = _document(provider.discovery_url, limits, deadline)
        if about.get("issuer") != provider.issuer:
            raise OSError(f"{provider.discovery_url} is of another issuer, {about.get('issuer')!r}")
        url = about.get("jwks_uri")
        if not isinstance(url, str):
            raise OSError(f"{provider.discovery_url} names no jwks_uri")
        try:
            require_safe(url, "jwks_uri")
        except ConfigurationError as error:
            raise OSError(str(error)) from None
    published = _document(url, limits, deadline).get("keys")
    entries = published[:MOST_KEYS] if isinstance(published, list) else []
    keys = [key for entry in entries if (key := read_key(entry)) is not None]
    if not keys:
        raise OSError(f"{url} has no key that could be used")
    return keys


def read_key(entry: Any) -> Key | None:
    """A key of the published set; None for one that is no public key for signatures, or too weak."""
    if not isinstance(entry, dict) or entry.get("use", "sig") != "sig":
        return None
    operations, id, algorithm = entry.get("key_ops", ["verify"]), entry.get("kid"), entry.get("alg")
    if not isinstance(operations, list) or "verify" not in operations:
        return None
    if not (isinstance(id, str | None) and isinstance(algorithm, str | None)):
        return None
    reader = {"RSA": "RS256", "EC": "ES256", "OKP": "EdDSA"}.get(str(entry.get("kty")))
    if reader is None:
        return None
    try:
        public = jwt.get_algorithm_by_name(reader).from_jwk(entry)
    except (jwt.PyJWTError, ValueError, TypeError, KeyError):
        return None
    if not isinstance(public, PublicKey) or (
        isinstance(public, rsa.RSAPublicKey) and public.key_size < RSA_BITS
    ):
        return None
    return Key(id, algorithm, public)


class _NoRedirect(HTTPRedirectHandler):
    """An address is the one that was given: no answer leads to another."""

    def redirect_request(self, *_: Any) -> None:
        """Not followed; the answer is an error then."""


def _document(url: str, limits: Limits, deadline: float) -> dict[str, Any]:
    """A JSON object from an address that was found safe; bounded in bytes and in time.

    Raises:
        OSError: with the address and the reason.
    """
    request = Request(url, headers={"Accept": "application/json", "User-Agent": "starwire"})  # noqa: S310 - http(s)
    proxies = (ProxyHandler({}),) if is_on_this_machine(url) else ()  # else those of the environment
    body = b""
    try:
        with build_opener(_NoRedirect, *proxies).open(
            request, timeout=max(0.001, deadline - time.monotonic())
        ) as response:
            while chunk := response.read1(65_536):
                body += chunk
                if len(body) > limits.openid_document_bytes:
                    raise OSError(f"more than {limits.openid_document_bytes} bytes")
                if time.monotonic() > deadline:
                    raise TimeoutError("it takes too long")
        document = msgspec.json.decode(body)
    except (OSError, HTTPException, msgspec.DecodeError, RecursionError) as error:
        if isinstance(error, HTTPError):
            error.close()
        raise OSError(f"{url}: {error}") from None
    if not isinstance(document, dict):
        raise OSError(f"{url}: it is not a JSON object")
    return document
