"""The latest commands' journeys, for ``/dev``: when each was received, executed, committed and answered.

Kept only where somebody asked for it (``--dev``); times are milliseconds since a command was received.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

from starwire.batch import Command, Outcome
from starwire.clock import Clock, isoformat
from starwire.limits import Limits


class Journeys:
    """The last commands that had an id."""

    def __init__(self, clock: Clock, limits: Limits) -> None:
        self._most = limits.journeys
        self._clock = clock
        self._kept: OrderedDict[tuple[str, str], dict[str, Any]] = OrderedDict()
        self._arrived: dict[tuple[str, str], float] = {}

    def received(self, player: str, id: str, command: str) -> None:
        """A command has come."""
        key = (player, id)
        self._arrived[key] = self._clock.monotonic()
        self._kept[key] = {
            "id": id,
            "player": player,
            "command": command,
            "received_at": isoformat(self._clock.now()),
        }
        while len(self._kept) > self._most:
            oldest, _ = self._kept.popitem(last=False)
            self._arrived.pop(oldest, None)

    def executed(self, commands: Sequence[Command], outcome: Outcome) -> None:
        """A transaction has carried these commands."""
        for index, command in enumerate(commands):
            if index in outcome.answers and command.id is not None:
                key = (command.player, command.id)
                self._mark(key, "queued_ms", outcome.began)
                self._mark(key, "executed_ms", outcome.executed)
                self._mark(key, "committed_ms", outcome.committed)

    def replied(self, player: str, id: str) -> None:
        """The answer leaves."""
        self._mark((player, id), "replied_ms", self._clock.monotonic())

    def latest(self) -> list[dict[str, Any]]:
        """All that are kept, the oldest first."""
        return list(self._kept.values())

    def _mark(self, key: tuple[str, str], stage: str, at: float) -> None:
        journey, arrived = self._kept.get(key), self._arrived.get(key)
        if journey is not None and arrived is not None:
            journey[stage] = round((at - arrived) * 1000, 3)
