"""The commands and views that wait for their answer, in the order they were made.

An entry leaves by its reply, by its deadline, or when the client is closed. A lost connection only means that
everything unanswered is sent again: same text, same id, same order. The server keeps replies by id, so what
was answered on the way is answered again, not done again.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from starwire.client import errors
from starwire.client.errors import CommandError
from starwire.client.frames import backoff

CAPACITY = 256
WINDOW = 32
RETRIES = 5
# Replies are kept for 24 hours by the server: sent again later than that, a command could happen twice.
REPLIES_KEPT_SECONDS = 23 * 3600.0


@dataclass(eq=False, slots=True)
class Entry:
    """One command without an answer."""

    id: str
    command: str
    text: str
    answer: asyncio.Future[dict[str, Any]]
    until: float
    """Nobody waits for it after this, by the wall clock: the loop's stands still while a machine sleeps."""
    since: float | None = None
    """When it first went out; None: it has not."""
    doubt: bool = False
    """A connection was lost with it on the way."""
    sent: bool = False
    refusals: int = 0
    pause: asyncio.TimerHandle | None = None


class Outbox:
    """Sends what waits, at most a window at once; ``send`` says whether a connection has taken it."""

    def __init__(
        self,
        send: Callable[[str], bool],
        next_id: Callable[[], str],
        source: random.Random,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._now = now
        self._send = send
        self._next_id = next_id
        self._source = source
        self._entries: dict[str, Entry] = {}
        self._open = False
        self._window = WINDOW
        self._frame_bytes: float = float("inf")

    def __len__(self) -> int:
        return len(self._entries)

    async def ask(self, command: str, args: Any, seconds: float | None) -> dict[str, Any]:
        """The whole reply frame.

        Raises:
            CommandError: it was refused, or there was no answer in time.
        """
        if len(self._entries) >= CAPACITY:
            message = f"{CAPACITY} commands wait for an answer already."
            raise CommandError("queue_full", message, command=command, retry=True)
        id = self._next_id()
        text = msgspec.json.encode({"id": id, "command": command, "args": args}).decode()
        if len(text.encode()) > self._frame_bytes:
            raise _too_large(command)
        until = self._now() + (float("inf") if seconds is None else seconds)
        entry = Entry(id, command, text, asyncio.get_running_loop().create_future(), until)
        self._entries[id] = entry
        self._pump()
        try:
            return await asyncio.wait_for(entry.answer, seconds)
        except TimeoutError:
            raise _timed_out(entry) from None
        finally:
            self._forget(entry)
            self._pump()

    def opened(self, limits: dict[str, Any]) -> None:
        """The connection is up: everything unanswered goes out (again)."""
        self._window = int(limits.get("commands_in_flight", WINDOW))
        self._frame_bytes = limits.get("frame_bytes", float("inf"))
        now = self._now()
        for entry in list(self._entries.values()):
            forgotten = entry.since is not None and now - entry.since >= REPLIES_KEPT_SECONDS
            if now >= entry.until or forgotten:
                self._fail(entry, _timed_out(entry))
            elif len(entry.text.encode()) > self._frame_bytes:
                self._fail(entry, _too_large(entry.command))
        self._open = True
        self._pump()

    def hold(self) -> None:
        """The server said goodbye: what was sent is still answered, nothing new goes out here."""
        self._open = False

    def lost(self) -> None:
        """The connection is gone."""
        self._open = False
        for entry in self._entries.values():
            entry.doubt |= entry.sent
            entry.sent = False

    def closed(self, why: str) -> None:
        """There will be no other connection."""
        self._open = False
        for entry in list(self._entries.values()):
            self._fail(entry, errors.closed(entry.command, why, sent=entry.since is not None))

    def reply(self, frame: dict[str, Any]) -> bool:
        """Settle the entry that this reply answers; False when there is none."""
        entry = self._entries.get(frame.get("id") or "")
        if entry is None:
            return False
        if frame.get("ok"):
            self._forget(entry)
            if not entry.answer.done():
                entry.answer.set_result(frame)
        else:
            error = errors.refusal(frame, entry.command, doubt=entry.doubt)
            if error.retry and entry.refusals < RETRIES:
                self._again(entry, error.retry_after or 0.0)
            else:
                self._fail(entry, error)
        self._pump()
        return True

    def _again(self, entry: Entry, advised: float) -> None:
        # Jitter on top, so that those who were refused together do not return together.
        wait = advised + backoff(entry.refusals, self._source)
        entry.refusals += 1
        entry.sent = False
        if not entry.doubt:
            entry.since = None  # such a refusal says that this sending did nothing

        def resume() -> None:
            entry.pause = None
            self._pump()

        entry.pause = asyncio.get_running_loop().call_later(wait, resume)

    def _pump(self) -> None:
        if not self._open:
            return
        room = self._window - sum(entry.sent for entry in self._entries.values())
        for entry in self._entries.values():
            if room <= 0:
                return
            if entry.sent or entry.pause is not None:
                continue
            if not self._send(entry.text):
                return
            entry.sent = True
            entry.since = self._now() if entry.since is None else entry.since
            room -= 1

    def _fail(self, entry: Entry, error: CommandError) -> None:
        self._forget(entry)
        if not entry.answer.done():
            entry.answer.set_exception(error)

    def _forget(self, entry: Entry) -> None:
        self._entries.pop(entry.id, None)
        if entry.pause is not None:
            entry.pause.cancel()
            entry.pause = None


def _too_large(command: str) -> CommandError:
    return CommandError(
        "too_large", "The frame is longer than the server takes; it was not sent.", command=command
    )


def _timed_out(entry: Entry) -> CommandError:
    return errors.timed_out(entry.command, sent=entry.since is not None)
