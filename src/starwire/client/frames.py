"""What the client hands to its user, and how it waits before trying again. No I/O."""

from __future__ import annotations

import random
from datetime import datetime
from typing import Any

import msgspec

BASE_SECONDS = 0.5
CAP_SECONDS = 30.0


class Push(msgspec.Struct, frozen=True):
    """One event of a stream."""

    stream: str
    offset: int
    event: str
    at: datetime
    data: Any
    message: str | None = None


class ViewResult(msgspec.Struct, frozen=True):
    """What a view answered: what the server knew, and where its streams stood."""

    result: Any
    positions: dict[str, int]


def backoff(attempt: int, source: random.Random) -> float:
    """Seconds before attempt number ``attempt`` (0 is the first): a uniform draw up to a doubling bound.

    Full jitter from the very first attempt: after a restart everybody comes back at once.
    """
    return source.random() * min(CAP_SECONDS, BASE_SECONDS * 2.0 ** min(attempt, 16))
