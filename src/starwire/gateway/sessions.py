"""Sessions: a login on one device, kept alive by refresh tokens that are good for one use.

A refresh token's successor is computed from it (HMAC-SHA256 under the signing secret), not drawn. So within
``GRACE_SECONDS`` of its use the same token gives the same successor again: a page whose answer was lost on
the way, or two tabs that race, all end up with the one valid token, and no guest loses a universe to a bad
network. Used again after that, it was copied: the session ends.

Only hashes are stored. Everything here runs in the one transaction of the connection it is given.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Connection, delete, insert, or_, select, update

from starwire.store import tables

GRACE_SECONDS = 60  # a client asks again after 10 s without an answer, and once more after that
_session = tables.session.c


class Outcome(StrEnum):
    """What became of a refresh."""

    ROTATED = "rotated"
    UNKNOWN = "unknown"
    """No session has this token, or it has expired."""
    REUSED = "reused"
    """The token was used long ago; its session is deleted."""
    SUPERSEDED = "superseded"
    """The session was given another token a moment ago, by a registration: read that one."""


@dataclass(frozen=True, slots=True)
class Refreshed:
    """The outcome of a refresh, and of whose session."""

    outcome: Outcome
    account: int = 0
    session: str = ""
    refresh_token: str = ""


class RefreshTokens:
    """How refresh tokens look, follow one another and are hashed."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def first(self) -> str:
        """The first refresh token of a session."""
        return secrets.token_urlsafe(32)

    def successor(self, token: str) -> str:
        """The token that replaces this one; the same each time."""
        mac = hmac.new(self._secret, b"refresh:" + token.encode(errors="replace"), hashlib.sha256)
        return base64.urlsafe_b64encode(mac.digest()).rstrip(b"=").decode()

    def digest(self, token: str) -> bytes:
        """What is stored of a token."""
        return hashlib.sha256(token.encode(errors="replace")).digest()


def open_session(connection: Connection, account: int, digest: bytes, *, now: int, life: int) -> str:
    """Begin a session whose refresh token has this digest; times in microseconds. Returns its id."""
    session = secrets.token_hex(12)
    row = {"id": session, "account": account, "refresh": digest, "rotated_at": now, "expires_at": now + life}
    connection.execute(insert(tables.session), row)
    return session


def replace_token(
    connection: Connection, session: str, account: int, digest: bytes, *, now: int, life: int
) -> bool:
    """Give a live session another refresh token; False when there is no such session of this account."""
    changed = connection.execute(
        update(tables.session)
        .where(_session.id == session, _session.account == account, _session.expires_at > now)
        .values(previous=_session.refresh, refresh=digest, rotated_at=now, expires_at=now + life)
    )
    return changed.rowcount == 1


def is_known(connection: Connection, digest: bytes) -> bool:
    """Whether a session has or had this token last: a look that keeps guesses away from the writer."""
    statement = select(_session.id).where(or_(_session.refresh == digest, _session.previous == digest))
    return connection.execute(statement).first() is not None


def rotate(connection: Connection, token: str, tokens: RefreshTokens, *, now: int, life: int) -> Refreshed:
    """Exchange a refresh token for its successor."""
    digest = tokens.digest(token)
    row = connection.execute(
        select(
            _session.id, _session.account, _session.refresh, _session.rotated_at, _session.expires_at
        ).where(or_(_session.refresh == digest, _session.previous == digest))
    ).first()
    if row is None or row.expires_at <= now:
        return Refreshed(Outcome.UNKNOWN)
    successor = tokens.successor(token)
    after = tokens.digest(successor)
    rotated = Refreshed(Outcome.ROTATED, row.account, row.id, successor)
    if row.refresh == digest:
        connection.execute(
            update(tables.session)
            .where(_session.id == row.id)
            .values(refresh=after, previous=digest, rotated_at=now, expires_at=now + life)
        )
        return rotated
    if now - row.rotated_at > GRACE_SECONDS * 1_000_000:
        end_session(connection, row.id)
        return Refreshed(Outcome.REUSED, row.account, row.id)
    return rotated if row.refresh == after else Refreshed(Outcome.SUPERSEDED, row.account, row.id)


def session_of(connection: Connection, digest: bytes) -> tuple[str, int] | None:
    """(session, account) of a refresh token that is valid or was a moment ago."""
    row = connection.execute(
        select(_session.id, _session.account).where(
            or_(_session.refresh == digest, _session.previous == digest)
        )
    ).first()
    return None if row is None else (row.id, row.account)


def end_session(connection: Connection, session: str) -> bool:
    """Delete a session; whether it was there. Its access tokens are refused from now on."""
    return connection.execute(delete(tables.session).where(_session.id == session)).rowcount == 1
