"""Who a connection is: the result of authentication."""

from __future__ import annotations

from typing import Any

import msgspec


class Identity(msgspec.Struct, frozen=True):
    """An authenticated player.

    ``sub`` is the player; ``expires_at`` is in microseconds since 1970 (None: never); ``session`` is what a
    logout revokes. ``claims`` with a true value are what ``requires="operator"`` asks for.
    """

    sub: str
    name: str = ""
    claims: dict[str, Any] = {}
    expires_at: int | None = None
    session: str | None = None

    def allows(self, requires: str | None) -> bool:
        """Whether the identity carries the claim that a command requires."""
        return requires is None or self.claims.get(requires) is True
