"""How often something may happen: a sliding window for each key, in bounded memory. No I/O.

Two counters a key, the last full window and the present one, weighed by how far the present one is: the
usual approximation, which never lets through more than twice the limit at once and needs no list of times.
"""

from __future__ import annotations

import ipaddress
from collections import OrderedDict


class SlidingWindow:
    """At most ``limit`` for each key within ``seconds``.

    Of more than ``keys`` the least recently seen is forgotten.
    """

    def __init__(self, limit: int, seconds: float = 60.0, *, keys: int = 20_000) -> None:
        self._limit = limit
        self._seconds = seconds
        self._keys = keys
        self._counts: OrderedDict[str, tuple[int, int, int]] = OrderedDict()  # window number, now, before

    def __len__(self) -> int:
        return len(self._counts)

    def wait(self, key: str, now: float) -> float:
        """Seconds until this key may again; 0.0 when it may now. Counts nothing.

        Args:
            key: whose window.
            now: seconds of a monotonic clock.
        """
        current, before = self._read(key, now)
        passed = now / self._seconds % 1
        if current + before * (1 - passed) <= self._limit - 1:
            return 0.0
        room = self._limit - 1
        if current <= room:  # wait until enough of the last window has slid out
            return max(0.0, (1 - (room - current) / before - passed) * self._seconds)
        return (1 - passed + 1 - room / current) * self._seconds

    def count(self, key: str, now: float) -> None:
        """Count one for this key."""
        current, before = self._read(key, now)
        self._counts[key] = (int(now // self._seconds), current + 1, before)
        self._counts.move_to_end(key)
        while len(self._counts) > self._keys:
            self._counts.popitem(last=False)

    def take(self, key: str, now: float) -> float:
        """Count one if this key may; otherwise the seconds to wait."""
        seconds = self.wait(key, now)
        if not seconds:
            self.count(key, now)
        return seconds

    def _read(self, key: str, now: float) -> tuple[int, int]:
        window = int(now // self._seconds)
        counted, current, before = self._counts.get(key, (window, 0, 0))
        if counted == window:
            return current, before
        return 0, current if counted == window - 1 else 0


def address_key(address: str | None) -> str:
    """Whom an address stands for: an IPv4 address itself, of IPv6 the /64 that one customer usually gets."""
    try:
        parsed = ipaddress.ip_address((address or "").partition("%")[0])
    except ValueError:
        return address[:64] if address else "unknown"
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)
