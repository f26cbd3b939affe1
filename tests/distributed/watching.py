"""Watching the distributed engine from outside: Celery's own events, and pub/sub as anybody hears it."""

from __future__ import annotations

import ast
import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from typing import Any, Self, TypeVar

import redis.asyncio
from celery.events import EventReceiver

from starwire.batch import Event
from starwire.engines.distributed import messages
from starwire.engines.distributed.tasks import make_celery
from starwire.limits import Limits

GLANCE_SECONDS = 0.01
PATIENCE_SECONDS = 15.0
BUCKET = timedelta(milliseconds=50)
WHOLE = {"sent", "received", "started", "succeeded"}
"""The steps of a task that went well."""
T = TypeVar("T")


async def eventually(find: Callable[[], T], what: str, *, seconds: float = PATIENCE_SECONDS) -> T:
    """Look again and again at what nobody announces, until it gives something true."""
    deadline = time.monotonic() + seconds
    while not (found := find()):
        assert time.monotonic() < deadline, f"waited {seconds} s in vain for {what}"
        await asyncio.sleep(GLANCE_SECONDS)
    return found


class Task:
    """What Celery's events say of one task."""

    def __init__(self, events: Iterable[dict[str, Any]]) -> None:
        self.events = list(events)
        self.id: str = self.events[0]["uuid"]

    @property
    def steps(self) -> list[str]:
        """What happened to it, in order: sent, received, started, succeeded."""
        return [event["type"].removeprefix("task-") for event in self.events]

    def fact(self, name: str) -> Any:
        """What any of the events tells, for example its ``eta``."""
        return next((event[name] for event in self.events if event.get(name)), None)

    @property
    def eta(self) -> datetime | None:
        """When it is to run."""
        eta = self.fact("eta")
        return None if eta is None else datetime.fromisoformat(eta)

    @property
    def partitions(self) -> list[int]:
        """Of a task ``starwire.due``."""
        found: list[int] = ast.literal_eval(self.fact("args"))[0]
        return found


class CeleryEvents:
    """Every event that Celery sends while the block runs: what ``celery events`` would show."""

    def __init__(self, broker: str) -> None:
        self._celery = make_celery(broker, Limits())
        self._events: list[dict[str, Any]] = []
        self._thread = threading.Thread(target=self._run, name="celery-events", daemon=True)
        self._stopping = threading.Event()

    def __enter__(self) -> Self:
        self._thread.start()
        deadline = time.monotonic() + PATIENCE_SECONDS
        with self._celery.events.default_dispatcher() as dispatcher:
            while not self._events:  # what is sent before the subscription stands is heard by nobody
                assert time.monotonic() < deadline, "no events from Celery"
                dispatcher.send("test-heard")
                time.sleep(GLANCE_SECONDS)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            for name in (messages.COMMANDS, messages.DUE):
                for task in self.tasks(name):
                    print(name, task.fact("args"), "for", task.eta, task.steps)
        self._stopping.set()
        self._thread.join()
        self._celery.close()

    def tasks(self, name: str) -> list[Task]:
        """The tasks of a name, in the order in which they were first heard of."""
        grouped: dict[str, list[dict[str, Any]]] = {}
        for event in list(self._events):
            if event["type"].startswith("task-"):
                grouped.setdefault(event["uuid"], []).append(event)
        tasks = [Task(events) for events in grouped.values()]
        return [task for task in tasks if task.fact("name") == name]

    def _run(self) -> None:
        with self._celery.connection_for_read() as first:
            receiver = EventReceiver(first, handlers={"*": self._events.append}, app=self._celery)
            with receiver.consumer_context() as (connection, _, _):
                while not self._stopping.is_set():
                    with suppress(TimeoutError):
                        connection.drain_events(timeout=0.05)


def command_tasks(events: CeleryEvents, command: str) -> list[Task]:
    """The tasks `starwire.commands` that carry such a command."""
    return [task for task in events.tasks(messages.COMMANDS) if command in task.fact("args")]


def due_tasks(events: CeleryEvents, due_at: datetime, partition: int) -> list[Task]:
    """The tasks `starwire.due` of this partition whose ETA is this moment, rounded up to its bucket."""
    tasks = [task for task in events.tasks(messages.DUE) if task.partitions == [partition]]
    return [task for task in tasks if task.eta is not None and due_at <= task.eta <= due_at + 2 * BUCKET]


class Eavesdropper:
    """An independent subscriber of every stream's channel."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, Event]] = []

    @classmethod
    @asynccontextmanager
    async def on(cls, broker: str) -> AsyncIterator[Self]:
        """Listen while the block runs."""
        ears = cls()
        client = redis.asyncio.Redis.from_url(broker)
        pubsub = client.pubsub()
        await pubsub.psubscribe(f"{messages.STREAM}*")
        listening = asyncio.get_running_loop().create_task(ears._listen(pubsub))
        try:
            yield ears
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
            await pubsub.aclose()  # type: ignore[no-untyped-call]
            await client.aclose()

    async def _listen(self, pubsub: Any) -> None:
        async for message in pubsub.listen():
            if message["type"] == "pmessage":
                self.heard.append((message["channel"].decode(), messages.decode_event(message["data"])))

    def of(self, channel: str, event: str) -> list[Event]:
        """What was heard on a channel."""
        return [each for where, each in self.heard if where == channel and each.event == event]
