"""Who is at the door: what ``hello`` asks of a token, and how a session ends for connections that are open.

``App(auth=…)`` replaces ``Authenticator``; accounts (``accounts.py``) then are not there either.
"""

from __future__ import annotations

import asyncio

import structlog

from starwire.engine import Engine
from starwire.errors import Refused
from starwire.gateway.tokens import InvalidToken, Tokens
from starwire.identity import Identity
from starwire.system import RevokeSession, internal

log = structlog.get_logger("starwire.auth")

REVOCATION_TRIES = 5


class Authenticator:
    """``async (token) -> Identity`` for tokens of the built-in accounts."""

    def __init__(self, tokens: Tokens, engine: Engine) -> None:
        self._tokens = tokens
        self._engine = engine

    async def __call__(self, token: str) -> Identity:
        """Verify the token, and that its session was not revoked.

        Raises:
            InvalidToken: with a message that says which.
        """
        identity = self._tokens.verify(token)
        if identity.session is not None and not await self._engine.session_is_live(identity.session):
            raise InvalidToken("The session was signed out.", revoked=True)
        return identity


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
