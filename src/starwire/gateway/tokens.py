"""Access tokens: JSON Web Tokens, signed HS256 with a secret that only this server's user can read.

A token with a session (``sid``) is good until it expires or its session is revoked. One without a session
was made with the secret by a command-line tool (``starwire announce``); it may live five minutes at most.
Whether the session still exists is asked elsewhere: ``auth.py``.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Any

import jwt

from starwire.clock import Clock
from starwire.errors import ConfigurationError, Unauthenticated
from starwire.identity import Identity

ISSUER = AUDIENCE = "starwire"
ALGORITHM = "HS256"
SECRET_BYTES = 32  # RFC 7518 asks for at least the size of the hash
SESSIONLESS_SECONDS = 300
LAST_MOMENT = 253_402_300_800  # the end of the year 9999
FUTURE_SECONDS = 60  # how far another server's clock may be ahead of ours
_REQUIRED = ("iss", "aud", "sub", "iat", "exp")


class InvalidToken(Unauthenticated):
    """A token that proves nothing (any more); ``expired`` says that it once did."""

    def __init__(self, message: str, *, expired: bool = False, revoked: bool = False) -> None:
        super().__init__(message, revoked=revoked)
        self.expired = expired


def load_secret(data: Path) -> bytes:
    """The signing secret in ``<data>/secret``, made at the first start.

    Raises:
        ConfigurationError: others may read the file, or it is too short to be one.
    """
    path = data / "secret"
    if not path.exists():
        _make_secret(path)
    mode = path.stat().st_mode
    if mode & 0o077:
        raise ConfigurationError(
            f"{path} can be read by others (mode {mode & 0o777:03o}), who could then sign in as anybody;"
            f" run `chmod 600 {path}`, or delete it, which signs everybody out"
        )
    secret = path.read_bytes().strip()
    if len(secret) < SECRET_BYTES:
        raise ConfigurationError(
            f"{path} has {len(secret)} bytes; a secret has {SECRET_BYTES} at least: delete the file"
        )
    return secret


def _make_secret(path: Path) -> None:
    """Write it beside and link it, so that another server never sees half of it and the first one wins."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f"secret.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(SECRET_BYTES) + "\n")
            file.flush()
            os.fsync(file.fileno())
        path.hardlink_to(draft)
    except FileExistsError:
        pass  # another server was faster
    finally:
        draft.unlink()


class Tokens:
    """Signs and verifies access tokens."""

    def __init__(self, secret: bytes, clock: Clock, *, access_seconds: int) -> None:
        self.access_seconds = access_seconds
        self._secret = secret
        self._clock = clock

    def sign(
        self,
        player: str,
        *,
        name: str = "",
        session: str | None = None,
        operator: bool = False,
        seconds: int | None = None,
    ) -> str:
        """A token for a player, good for ``seconds`` (the limit ``access_seconds`` when None).

        Without a session, for five minutes at most.
        """
        now = self._clock.now() // 1_000_000
        life = self.access_seconds if seconds is None else seconds
        claims: dict[str, Any] = {"iss": ISSUER, "aud": AUDIENCE, "sub": player, "name": name, "iat": now}
        if session is None:
            life = min(life, SESSIONLESS_SECONDS)
        else:
            claims["sid"] = session
        if operator:
            claims["operator"] = True
        return jwt.encode({**claims, "exp": now + life}, self._secret, algorithm=ALGORITHM)

    def verify(self, token: str) -> Identity:
        """Who a token is for.

        Raises:
            InvalidToken: it was not signed here, or not for this, or has expired.
        """
        try:
            claims = jwt.decode(
                token,
                self._secret,
                algorithms=[ALGORITHM],
                audience=AUDIENCE,
                issuer=ISSUER,
                # The times are checked below, by the clock that was given in.
                options={"require": list(_REQUIRED), "verify_exp": False, "verify_iat": False},
            )
        except (jwt.InvalidTokenError, ValueError):  # ValueError: a token that is not even text
            raise InvalidToken("The access token is not one of this server's.") from None
        issued, expires = seconds_of(claims, "iat"), seconds_of(claims, "exp")
        now = self._clock.now() / 1e6
        if expires <= now:
            raise InvalidToken("The access token has expired.", expired=True)
        session = claims.get("sid")
        if issued > now + FUTURE_SECONDS or not isinstance(session, str | None):
            raise InvalidToken("The access token is not one of this server's.")
        if session is None and expires - issued > SESSIONLESS_SECONDS:
            raise InvalidToken("An access token without a session lives five minutes at most.")
        return Identity(
            sub=claims["sub"],
            name=str(claims.get("name", "")),
            claims={"operator": True} if claims.get("operator") is True else {},
            expires_at=int(expires) * 1_000_000,
            session=session,
        )


def seconds_of(claims: dict[str, Any], name: str) -> float:
    """A time of a token, in seconds since 1970.

    Raises:
        InvalidToken: it is not a number, or one that no calendar has.
    """
    value = claims[name]
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < LAST_MOMENT:
        raise InvalidToken(f"The token's {name!r} is not a time.")
    return value
