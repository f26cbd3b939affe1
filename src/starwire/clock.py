"""Time, as it is given in: microseconds since 1970 in UTC.

Everything that needs the time takes a ``Clock``; nothing else in Starwire reads one. The server uses
``SystemClock``; tests move a ``ManualClock`` by hand. ``monotonic`` is for measuring how long something
took; it never goes back and says nothing about the date.
"""

from __future__ import annotations

import functools
import time
from datetime import UTC, datetime, timedelta
from typing import Protocol

MICROSECOND = timedelta(microseconds=1)
REMEMBERED = 1024  # one moment is asked for many times within a batch
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Clock(Protocol):
    """Where the time comes from."""

    def now(self) -> int:
        """The time in microseconds since 1970, UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds since some moment; never goes back."""
        ...


class SystemClock:
    """The clock of this machine."""

    def now(self) -> int:
        """The wall clock in microseconds."""
        return time.time_ns() // 1000

    def monotonic(self) -> float:
        """The machine's monotonic clock in seconds."""
        return time.monotonic()


class ManualClock:
    """A clock that stands still until a test moves it."""

    def __init__(self, start: datetime = datetime(2030, 1, 1, tzinfo=UTC)) -> None:
        self._now = to_micros(start)
        self._origin = self._now

    def now(self) -> int:
        """The time that the test has set, in microseconds."""
        return self._now

    def monotonic(self) -> float:
        """Seconds that the test has let pass."""
        return (self._now - self._origin) / 1e6

    def set(self, micros: int) -> None:
        """Move to a moment, never back.

        Raises:
            ValueError: the moment lies before the present one.
        """
        if micros < self._now:
            raise ValueError(f"a clock does not go back: {micros} is before {self._now}")
        self._now = micros


def to_micros(moment: datetime) -> int:
    """Microseconds since 1970 of an aware ``datetime``.

    Raises:
        ValueError: the moment has no time zone, so it could be any of 24.
    """
    if moment.tzinfo is None:
        raise ValueError(f"{moment!r} has no time zone; use datetime.now(UTC) or tx.now")
    return (moment - EPOCH) // MICROSECOND


@functools.lru_cache(maxsize=REMEMBERED)
def to_datetime(micros: int) -> datetime:
    """The aware UTC ``datetime`` of a number of microseconds since 1970."""
    return EPOCH + timedelta(microseconds=micros)


@functools.lru_cache(maxsize=REMEMBERED)
def isoformat(micros: int) -> str:
    """RFC 3339 with microseconds and a Z, as every time on the wire: ``2030-01-01T00:00:00.000000Z``."""
    return f"{to_datetime(micros).isoformat(timespec='microseconds')[:-6]}Z"
