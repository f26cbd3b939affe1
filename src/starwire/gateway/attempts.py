"""How often somebody may try to get in over HTTP: new accounts, names and passwords, refresh tokens.

Guessing a password is slowed down three times. An address may try so often, whatever the names. It may fail
so often for one name. And a name may fail so often from everywhere together: that stops a guesser with many
addresses, and would let anybody lock a player out, so it does not hold for an address from which that player
has signed in lately. What is left to a guesser is ``login_failures_per_hour`` guesses; what is left to who
would lock a player out is to keep them from signing in somewhere new.

In memory, and bounded; each gateway counts for itself. No I/O.
"""

from __future__ import annotations

from collections import OrderedDict

from starwire.errors import Refused
from starwire.gateway.windows import SlidingWindow, address_key
from starwire.limits import Limits

HOUR = 3_600.0


class Attempts:
    """Counts tries and refuses what is too much, with the seconds to wait. Times are monotonic seconds."""

    def __init__(self, limits: Limits) -> None:
        keys = limits.counted_keys
        self._new = SlidingWindow(limits.guests_per_minute, keys=keys)
        self._renewals = SlidingWindow(limits.refreshes_per_minute, keys=keys)
        self._tries = SlidingWindow(limits.logins_per_minute, keys=keys)
        self._failures_here = SlidingWindow(limits.login_failures_per_minute, keys=keys)
        self._failures = SlidingWindow(limits.login_failures_per_hour, HOUR, keys=keys)
        self._keys = keys
        self._at_home: OrderedDict[str, None] = OrderedDict()
        """Pairs of address and name that have signed in, the latest last."""

    def new_account(self, address: str | None, now: float) -> None:
        """Somebody wants a new account.

        Raises:
            Refused: ``rate_limited``.
        """
        _refuse(self._new.take(address_key(address), now), "Too many new accounts from this address.")

    def renewal(self, address: str | None, now: float) -> None:
        """Somebody shows a refresh token, to exchange it or to sign out.

        Raises:
            Refused: ``rate_limited``.
        """
        wait = self._renewals.take(address_key(address), now)
        _refuse(wait, "Too many tokens are renewed from this address.")

    def login(self, name: str, address: str | None, now: float) -> None:
        """Somebody wants to sign in; ``failed`` or ``succeeded`` tells what came of it.

        Raises:
            Refused: ``rate_limited``.
        """
        pair = _pair(name, address)
        wait = self._failures_here.wait(pair, now)
        if not wait and pair not in self._at_home:
            wait = self._failures.wait(_short(name), now)
        _refuse(wait or self._tries.take(address_key(address), now), "Too many attempts to sign in.")

    def failed(self, name: str, address: str | None, now: float) -> None:
        """The name or the password was wrong."""
        self._failures_here.count(_pair(name, address), now)
        self._failures.count(_short(name), now)

    def succeeded(self, name: str, address: str | None) -> None:
        """Both were right."""
        pair = _pair(name, address)
        self._at_home[pair] = None
        self._at_home.move_to_end(pair)
        if len(self._at_home) > self._keys:
            self._at_home.popitem(last=False)


def _refuse(wait: float, sentence: str) -> None:
    if wait:
        raise Refused("rate_limited", sentence, retry_after=wait)


def _short(name: str) -> str:
    return name[:64]  # no name is so long, and the windows' memory is bounded


def _pair(name: str, address: str | None) -> str:
    return f"{address_key(address)} {_short(name)}"
