"""Handing tasks to Celery off the event loop, with a deadline.

Kombu's publishing blocks, and with the broker down it may block for long. So it happens in a thread; what
could not be handed over in time is forgotten here, because the gateway publishes an unanswered batch again.
"""

from __future__ import annotations

import queue
import threading
from typing import Any

import structlog
from celery import Celery

from starwire.engines.distributed import messages

log = structlog.get_logger("starwire.engine")

WAITING_BATCHES = 64


class Publisher:
    """One thread that publishes batches."""

    def __init__(self, celery: Celery) -> None:
        self._celery = celery
        self._queue: queue.Queue[messages.Batch | None] = queue.Queue(WAITING_BATCHES)
        self._thread = threading.Thread(target=self._run, name="starwire-publisher", daemon=True)
        self._thread.start()

    def publish(self, batch: messages.Batch) -> None:
        """Hand a batch over; one that finds the queue full is dropped, and will be published again."""
        try:
            self._queue.put_nowait(batch)
        except queue.Full:
            log.warning("publishing_is_behind", batch=batch.id)

    def close(self) -> None:
        """End when what waits has been handed over, or after a moment."""
        try:
            self._queue.put_nowait(None)
        except queue.Full:
            return
        self._thread.join(timeout=1)

    def _run(self) -> None:
        producer: Any = None
        while True:
            batch = self._queue.get()
            if batch is None:
                return
            try:
                if producer is None:
                    producer = self._celery.amqp.Producer(self._celery.connection_for_write())
                self._celery.send_task(
                    messages.COMMANDS,
                    args=[messages.encode_batch(batch)],
                    argsrepr=_shown(batch),
                    producer=producer,
                    retry=False,
                )
            except Exception as error:  # noqa: BLE001 - kombu raises whatever its transport raises
                log.warning("publishing_failed", batch=batch.id, error=str(error))
                producer = None


def _shown(batch: messages.Batch) -> str:
    """What Celery's events and logs tell of a batch: never what is in its commands."""
    names = ", ".join(sorted({each.name for each in batch.commands}))
    return f"{batch.id}: {len(batch.commands)} of partitions {batch.partitions}: {names}"
