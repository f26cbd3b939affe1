"""Tokens of an OpenID provider: what ``hello`` and ``refresh`` ask of them.

The header of a token is a claim of whoever sent it. It only chooses among what is trusted anyway: the
algorithms of the description, the keys that the provider publishes. No address in a token is ever asked.

Next hop: ``keys.py`` has the provider's keys.
"""

from __future__ import annotations

from typing import Any

import jwt

from starwire.clock import Clock
from starwire.gateway.keys import Keys
from starwire.gateway.tokens import InvalidToken, seconds_of
from starwire.identity import Identity
from starwire.limits import Limits
from starwire.openid import OpenID


class ProviderTokens:
    """``async (token) -> Identity`` for the tokens of one provider."""

    def __init__(self, provider: OpenID, clock: Clock, limits: Limits) -> None:
        self._provider = provider
        self._clock = clock
        self._leeway = limits.openid_leeway_seconds
        self._keys = Keys(provider, clock, limits)

    async def __call__(self, token: str) -> Identity:
        """Who a token is for.

        Raises:
            InvalidToken: the provider did not sign it, or not for this game, or not for now.
            KeysUnavailable: the provider's keys cannot be had, so nothing can be said of the token.
        """
        id, algorithm = self._header(token)
        key = await self._keys.find(id, algorithm)
        if key is None:
            raise InvalidToken("The token is signed with a key that the provider does not publish.")
        try:
            claims = jwt.decode(
                token,
                key.public,
                algorithms=[algorithm],
                audience=self._provider.audience,
                issuer=self._provider.issuer,
                # The times are checked below, by the clock that was given in.
                options={
                    "require": ["iss", "aud", "sub", "exp"],
                    "verify_exp": False,
                    "verify_nbf": False,
                    "verify_iat": False,
                },
            )
        except (jwt.PyJWTError, ValueError, TypeError) as error:
            raise InvalidToken(f"The token is refused: {_reason(error)}.") from None
        return self._identity(claims)

    def _header(self, token: str) -> tuple[str | None, str]:
        """(key id, algorithm) that a token names, if it may."""
        try:
            header = jwt.get_unverified_header(token)
        except (jwt.PyJWTError, ValueError):  # ValueError: a token that is not even text
            raise InvalidToken("The token is not a signed JSON Web Token.") from None
        id, algorithm = header.get("kid"), header.get("alg")
        if algorithm not in self._provider.algorithms:
            taken = ", ".join(self._provider.algorithms)
            raise InvalidToken(f"The token's algorithm is not one of {taken}.")
        if not isinstance(id, str | None):
            raise InvalidToken("The token's key id is not one.")
        return id, algorithm

    def _identity(self, claims: dict[str, Any]) -> Identity:
        now, leeway = self._clock.now() / 1e6, self._leeway
        expires = seconds_of(claims, "exp")
        if expires + leeway <= now:
            raise InvalidToken("The token has expired.", expired=True)
        for name in ("nbf", "iat"):
            if name in claims and not seconds_of(claims, name) <= now + leeway:
                raise InvalidToken("The token is not valid yet.")
        if not _text(claims["sub"]):
            raise InvalidToken("The token names nobody.")
        session = claims.get("sid")
        return Identity(
            sub=claims["sub"],
            name=_text(claims.get("name")) or _text(claims.get("preferred_username")),
            claims={name: claims[name] for name in self._provider.claims if name in claims},
            expires_at=int((expires + leeway) * 1_000_000),
            session=session if isinstance(session, str) else None,
        )


def _text(value: object) -> str:
    return value if isinstance(value, str) and value.isprintable() else ""


def _reason(error: Exception) -> str:
    """Why, without a word of what was in the token."""
    reasons: dict[type[Exception], str] = {
        jwt.InvalidSignatureError: "its signature is wrong",
        jwt.InvalidAudienceError: "it is for another audience",
        jwt.InvalidIssuerError: "it is of another issuer",
        jwt.MissingRequiredClaimError: "a claim is missing",
    }
    return next((text for kind, text in reasons.items() if isinstance(error, kind)), "it is not in form")
