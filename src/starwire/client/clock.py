"""The server's clock, seen from here. No I/O.

Each question and answer bounds the offset between the clocks to half the round trip; the shortest round trip
is the best estimate. Samples whose bounds do not meet cannot both be right: then a clock was moved, and the
older ones are dropped.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from datetime import datetime

SAMPLES = 8


class ServerClock:
    """Learns the offset between this machine's clock (seconds since 1970) and the server's."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._samples: deque[tuple[float, float]] = deque(maxlen=SAMPLES)

    def sample(self, sent: float, received: float, server: str) -> None:
        """Learn from one exchange; ``server`` is its time in RFC 3339."""
        half = max(0.0, received - sent) / 2
        offset = datetime.fromisoformat(server).timestamp() - (sent + half)
        agreeing = [each for each in self._samples if abs(each[0] - offset) <= each[1] + half + 0.001]
        self._samples = deque([*agreeing, (offset, half)], maxlen=SAMPLES)

    @property
    def offset(self) -> float:
        """Server minus this machine, in seconds."""
        return min(reversed(self._samples), key=lambda each: each[1])[0] if self._samples else 0.0

    def now(self) -> float:
        """Seconds since 1970 by the server's clock."""
        return self._now() + self.offset
