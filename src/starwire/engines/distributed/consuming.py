"""Celery's consumer, telling what it does in bundles.

Celery's events (``task-received``, ``task-started``, ``task-succeeded``) are for people and their tools. Sent
after each task they cost a sixth of a worker's CPU when tasks are small; a few times a second they cost
nothing that can be measured. Next hop: ``tasks.py`` names this class in Celery's settings.
"""

from __future__ import annotations

import time
from typing import Any

from celery.worker import consumer

BUNDLE_SECONDS = 0.25


class Consumer(consumer.Consumer):  # type: ignore[misc]
    """Takes tasks as Celery's does; sends what has gathered of events four times a second."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._send_again_from = 0.0
        super().__init__(*args, **kwargs)

    def on_send_event_buffered(self) -> None:
        """An event waits. A timer that a reconnect has dropped is made up for by the next event."""
        now = time.monotonic()
        if self.hub and now >= self._send_again_from:
            self._send_again_from = now + BUNDLE_SECONDS
            self.hub.call_later(BUNDLE_SECONDS, self._flush_events)
