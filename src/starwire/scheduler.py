"""Due work, from the table: sleeps until the next process is due, then has it run.

The table is the truth. What is known here is only when to look at it next, learnt from every outcome; a
restart begins by looking. A cancelled process costs one look that finds nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from starwire.clock import Clock

LONGEST_SLEEP_SECONDS = 30.0  # look again at least so often, because a wall clock can be set


class Timer(Protocol):
    """Something that can be called off."""

    def cancel(self) -> None:
        """Call it off."""
        ...


class Scheduler:
    """Calls ``fire`` when the next process is due.

    Args:
        clock: what time it is.
        call_later: ``(seconds, function) -> Timer`` of the event loop; the test kit's does nothing.
        fire: has whatever is due run; must report back by ``expect``.
    """

    def __init__(
        self, clock: Clock, call_later: Callable[[float, Callable[[], None]], Timer], fire: Callable[[], None]
    ) -> None:
        self._clock = clock
        self._call_later = call_later
        self._fire = fire
        self._timer: Timer | None = None
        self.next_due: int | None = None

    def expect(self, next_due: int | None) -> None:
        """The next process is due at this time; None: there is none."""
        self.next_due = next_due
        self._rest()

    def run_once(self) -> bool:
        """Fire if the next process is due; whether it was. Safe to call at any time."""
        if self.next_due is not None and self.next_due <= self._clock.now():
            self.next_due = None
            self._fire()
            return True
        return False

    def stop(self) -> None:
        """Fire no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _rest(self) -> None:
        self.stop()
        if self.next_due is not None:
            seconds = max(0.0, (self.next_due - self._clock.now()) / 1e6)
            self._timer = self._call_later(min(seconds, LONGEST_SLEEP_SECONDS), self._wake)

    def _wake(self) -> None:
        if not self.run_once():
            self._rest()
