"""Where a client is in each of its streams: frames in, verdicts out. No I/O.

Here "each event once, in order, none silently left out" is kept on this side of the wire.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from starwire.client.frames import Push

RESUMED_STREAMS = 256  # in one hello, until the server has told its own limit


class Verdict(StrEnum):
    """What to do with a push."""

    NEXT = "next"
    """Deliver it."""
    OLD = "old"
    """Seen before."""
    UNKNOWN = "unknown"
    """Of no stream of ours."""
    GAP = "gap"
    """Something is missing: reconnect, and let the server fill it or say ``resync``."""
    LOST = "lost"
    """Asking again did not help: the state must be read again."""


@dataclass(frozen=True, slots=True)
class Jump:
    """A stream that goes on from ``offset``; ``lost`` says that something before it is missing."""

    stream: str
    offset: int
    lost: bool


class Cursors:
    """The offsets of every stream, and the epoch they belong to."""

    def __init__(self, epoch: str | None = None, offsets: Mapping[str, int] | None = None) -> None:
        self.epoch = epoch
        self.offsets: dict[str, int] = dict(offsets or {})
        self._from_start = {stream for stream, offset in self.offsets.items() if offset == 0}
        self._told: set[str] = set()  # lost at hello; the resync frame that follows says nothing new
        self._gaps: dict[str, int] = {}
        self._listed: set[str] = set()  # the streams of the last hello
        self._listed_at = 0  # the player stream's head at that time: grants up to it are history
        self._asked: set[str] = set()  # what the last hello said where to go on
        self._most = RESUMED_STREAMS
        self._player = ""

    def resume(self) -> dict[str, Any]:
        """The part of hello's args that says where to go on; what it leaves out is lost afterwards."""
        named = dict(list(self.offsets.items())[: self._most])
        self._asked = set(named)
        args: dict[str, Any] = {"resume": named}
        if self.epoch is not None:
            args["epoch"] = self.epoch
        return args

    def welcome(self, result: Mapping[str, Any]) -> tuple[bool, list[Jump]]:
        """Take over what hello answered: whether the epoch is another, and the streams that jump."""
        reset = self.epoch is not None and result["epoch"] != self.epoch
        before = {} if reset else self.offsets
        streams: dict[str, dict[str, Any]] = result["streams"]
        self.epoch = result["epoch"]
        self._most = int(result.get("limits", {}).get("resume_streams", RESUMED_STREAMS))
        self._player = f"player:{result['player']}"
        self.offsets = {}
        self._told.clear()
        self._listed = set(streams)
        self._listed_at = streams.get(self._player, {}).get("offset", 0)
        jumps = []
        for stream, start in streams.items():
            known = before.get(stream)
            left_out = known is not None and stream not in self._asked
            lost = start["recovered"] is False or reset or left_out
            if known is not None and not lost:
                self.offsets[stream] = known
                continue
            self.offsets[stream] = start["offset"]
            if start["recovered"] is False:
                self._told.add(stream)
            jumps.append(Jump(stream, start["offset"], lost))
        self._from_start = {stream for stream in self._from_start if self.offsets.get(stream) == 0}
        return reset, jumps

    def take(self, stream: str, offset: int) -> Verdict:
        """Judge a push, and move the cursor when it is the next one."""
        known = self.offsets.get(stream)
        if known is None:
            return Verdict.UNKNOWN
        if offset <= known:
            return Verdict.OLD
        if offset != known + 1 and stream not in self._from_start:
            # From 0 the server gives what is retained, so a reconnect would start at the same place again.
            if known == 0 or self._gaps.get(stream) == known:
                return Verdict.LOST
            self._gaps[stream] = known
            return Verdict.GAP
        self._from_start.discard(stream)
        self._gaps.pop(stream, None)
        self.offsets[stream] = offset
        return Verdict.NEXT

    def resync(self, stream: str, offset: int) -> bool:
        """History is gone: go on from ``offset``. False when hello had said so already."""
        news = not (stream in self._told and self.offsets.get(stream) == offset)
        self._told.discard(stream)
        self._from_start.discard(stream)
        self._gaps.pop(stream, None)
        self.offsets[stream] = offset
        return news

    def grant(self, push: Push) -> tuple[str, int | None] | None:
        """Follow grants: (stream, offset; None when it is gone), or None when nothing changed.

        Those replayed after a reconnect are older than hello's list of streams, which holds their outcome.
        """
        if push.stream != self._player or push.event not in {"subscribed", "unsubscribed"}:
            return None
        stream = push.data.get("stream")
        if push.offset <= self._listed_at and stream in self._listed:
            return None
        if push.event == "unsubscribed":
            self.offsets.pop(stream, None)
            return stream, None
        offset = push.data.get("offset", 0)
        if self.offsets.get(stream, -1) >= offset:
            return None
        self.offsets[stream] = offset
        return stream, offset
