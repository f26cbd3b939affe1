"""A beat every five seconds: proof that timers fire and pushes arrive, for ``/readyz``.

Each gateway sends a command that starts a process which is due at once, and waits for the push of its
completion. So a server whose writer, scheduler, broker or hub stands still is not ready, however well it
still answers.
"""

from __future__ import annotations

from typing import Any

from starwire import telemetry
from starwire.batch import Event
from starwire.clock import Clock
from starwire.engine import Engine
from starwire.errors import Refused
from starwire.gateway.hub import Hub
from starwire.limits import Limits
from starwire.system import Heartbeat, internal


class Beat:
    """One gateway's beat. ``run_once`` may be called at any time."""

    def __init__(self, engine: Engine, hub: Hub, clock: Clock, limits: Limits, *, gateway: str) -> None:
        self._engine = engine
        self._clock = clock
        self._limits = limits
        self._gateway = gateway
        self._last = clock.monotonic()
        self._came_back = False
        hub.listen(f"beat:{gateway}", self._heard)

    def run_once(self) -> None:
        """Send one beat."""
        telemetry.beat_age.set(self.age)
        order = Heartbeat(self._gateway)
        command = internal(order, player=self._gateway, partitions=self._engine.partitions)
        try:
            self._engine.submit(command, lambda _: None)
        except Refused:
            return  # overloaded, or stopping: the age tells

    @property
    def age(self) -> float:
        """Seconds since the last beat came back."""
        return self._clock.monotonic() - self._last

    def ready(self) -> tuple[bool, dict[str, Any]]:
        """Whether new connections should come here, and why not."""
        age = self.age
        report: dict[str, Any] = {"beat_age": round(age, 3), "lateness": round(self._engine.lateness, 3)}
        if not self._came_back:
            return False, {**report, "reason": "no beat has come back yet"}
        if age > self._limits.beat_late_seconds:
            return False, {**report, "reason": "timers do not fire, or pushes do not arrive"}
        return True, report

    def _heard(self, event: Event) -> None:
        if event.event == "process_completed":
            self._last = self._clock.monotonic()
            self._came_back = True
