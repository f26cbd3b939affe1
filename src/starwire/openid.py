"""An OpenID provider whose tokens are taken in place of the built-in accounts: what is trusted of it.

This is the description that an app or the settings give. ``gateway/keys.py`` fetches the provider's keys,
``gateway/openid.py`` checks tokens against them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

from starwire.errors import ConfigurationError

ALGORITHMS = frozenset(
    {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
)
"""What may be asked for: signatures that are checked with a public key. Never ``none``, never ``HS…``, whose
secret a public key would be."""


@dataclass(frozen=True, init=False)
class OpenID:
    """A provider whose signed tokens say who a player is: ``App("game", auth=OpenID(issuer=…, audience=…))``.

    Args:
        issuer: the token's ``iss``, exactly.
        audience: the token's ``aud``: the client id that the provider knows this game by; one, or several
            any of which will do.
        jwks_url: where the provider publishes its keys. When None, the provider says it itself in
            ``<issuer>/.well-known/openid-configuration``.
        algorithms: which signatures are taken; what a token itself names decides nothing.
        claims: which claims of the token a handler finds in ``tx.identity.claims``, and ``requires=`` asks
            for.

    The token's ``sub`` is the player; ``name``, or else ``preferred_username``, its name; ``sid`` its
    session. Addresses are https, unless the host is this machine.

    Raises:
        ConfigurationError: a part is missing or would let others in.
    """

    issuer: str
    audience: tuple[str, ...]
    jwks_url: str | None
    algorithms: tuple[str, ...]
    claims: tuple[str, ...]

    def __init__(
        self,
        *,
        issuer: str,
        audience: str | Sequence[str],
        jwks_url: str | None = None,
        algorithms: Sequence[str] = ("RS256", "ES256"),
        claims: Sequence[str] = ("operator",),
    ) -> None:
        given = {
            "issuer": issuer,
            "audience": (audience,) if isinstance(audience, str) else tuple(audience),
            "jwks_url": jwks_url,
            "algorithms": tuple(algorithms),
            "claims": tuple(claims),
        }
        for name, value in given.items():
            object.__setattr__(self, name, value)
        self._check()

    @property
    def discovery_url(self) -> str:
        """Where the provider describes itself."""
        return f"{self.issuer.rstrip('/')}/.well-known/openid-configuration"

    def _check(self) -> None:
        if not self.issuer:
            raise ConfigurationError(
                "OpenID: the issuer is missing; it is the `iss` of the provider's tokens"
            )
        if not self.audience or not all(self.audience):
            raise ConfigurationError(
                "OpenID: the audience is missing; without it a token for any other service would let in"
            )
        wrong = [each for each in self.algorithms if each not in ALGORITHMS]
        if wrong or not self.algorithms:
            which, usable = wrong[0] if wrong else "no algorithm", ", ".join(sorted(ALGORITHMS))
            raise ConfigurationError(
                f"OpenID: {which} checks nothing with a public key; use some of {usable}"
            )
        if self.jwks_url is None:
            require_safe(self.issuer, "issuer")
        else:
            require_safe(self.jwks_url, "jwks_url")


def require_safe(url: str, what: str) -> None:
    """Refuse an address that somebody on the way could answer for.

    Raises:
        ConfigurationError: it is neither https nor on this machine, or no address of a document.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        raise ConfigurationError(f"OpenID: {what} {url!r} is no address") from None
    unusual = parts.username is not None or parts.fragment or any(each <= " " for each in url)
    if not host or unusual or not url.isascii():
        raise ConfigurationError(
            f"OpenID: {what} {url!r} must be an address like https://id.example.com/keys"
        )
    if parts.scheme != "https" and not (parts.scheme == "http" and is_on_this_machine(url)):
        raise ConfigurationError(
            f"OpenID: {what} {url!r} must be https: who can answer in its place can sign in as anybody"
        )


def is_on_this_machine(url: str) -> bool:
    """Whether an address leads nowhere else."""
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
