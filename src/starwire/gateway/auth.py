"""Who is at the door: what ``hello`` asks of a token, and how a session ends for connections that are open.

``App(auth=…)`` replaces ``Authenticator``; accounts (``accounts.py``) then are not there either.

A token is checked, then the player's streams are read, then the session is asked about: in this order no
revocation falls between. One that was committed before the streams were read has ended the session already;
a later one is an event that lies ahead of the connection.
"""

from __future__ import annotations

import asyncio
from typing import Protocol, runtime_checkable

import structlog

from starwire.engine import Engine
from starwire.errors import Refused
from starwire.gateway.tokens import Tokens
from starwire.identity import Identity
from starwire.system import RevokeSession, internal

log = structlog.get_logger("starwire.auth")

REVOCATION_TRIES = 5


@runtime_checkable
class KnowsSessions(Protocol):
    """What ``App(auth=…)`` may offer beside ``__call__``: whether a login still exists."""

    async def is_live(self, identity: Identity) -> bool:
        """Whether the login behind an identity that was given before is still good.

        Asked at each ``hello`` and ``refresh``, and when grants have to be read again on an open connection.
        """
        ...


class Authenticator:
    """Tokens and sessions of the built-in accounts."""

    def __init__(self, tokens: Tokens, engine: Engine) -> None:
        self._tokens = tokens
        self._engine = engine

    async def __call__(self, token: str) -> Identity:
        """Verify the token, without asking for its session.

        Raises:
            InvalidToken: with a message that says which.
        """
        return self._tokens.verify(token)

    async def is_live(self, identity: Identity) -> bool:
        """Whether the session has not been signed out."""
        return identity.session is None or await self._engine.session_is_live(identity.session)


async def revoke_session(engine: Engine, player: str, session: str) -> None:
    """Have every connection of a session closed, on every gateway: an event of the player's own stream.

    Call it after the session is deleted. A full queue is tried again a few times; should it stay full, the
    connections live until their access token expires, which they are checked for anyway.
    """
    command = internal(RevokeSession(session), player=player, partitions=engine.partitions)
    for _ in range(REVOCATION_TRIES):
        answered: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        try:
            engine.submit(command, answered.set_result)
        except Refused as refusal:
            if refusal.retry_after is None:
                break
            await asyncio.sleep(refusal.retry_after)
        else:
            await answered
            return
    log.warning("revocation_not_announced", player=player)
