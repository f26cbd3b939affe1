"""Who is behind in which stream, and which pages of history serve them all. No I/O.

A page begins at a cursor; whoever stands within it shares it. So a thousand who come back to one stream cost
about as many pages as its history has, not a thousand. One read takes as many pages as ``EVENTS_AT_ONCE``
events fill; the others wait for the next.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

EVENTS_AT_ONCE = 4_096  # of one read: a megabyte or two of short events
S = TypeVar("S")
Pages = dict[tuple[str, int], list[tuple[int, S]]]
"""(stream, after) → its readers, each with its own cursor."""


class Behind(Generic[S]):
    """Sessions that wait for history; true while there are any."""

    def __init__(self, page_events: int) -> None:
        self._page = page_events
        self._waiting: dict[str, dict[int, set[S]]] = {}

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def add(self, stream: str, readers: Iterable[tuple[int, S]]) -> None:
        """These wait for what follows their cursors."""
        cursors = self._waiting.setdefault(stream, {})
        for cursor, session in readers:
            cursors.setdefault(cursor, set()).add(session)

    def take(self, head_of: Callable[[str], int]) -> Pages[S]:
        """The pages of the next read. Whoever is served by them waits no longer."""
        pages: Pages[S] = {}
        events = 0
        for stream in list(self._waiting):
            cursors, first = self._waiting.pop(stream), -self._page
            for cursor in sorted(cursors):
                if cursor >= first + self._page:
                    if events >= EVENTS_AT_ONCE:
                        break
                    first, events = cursor, events + max(1, min(self._page, head_of(stream) - cursor))
                readers = pages.setdefault((stream, first), [])
                readers.extend((cursor, session) for session in cursors.pop(cursor))
            if cursors:
                self._waiting[stream] = cursors  # at the end: other streams come first now
            if events >= EVENTS_AT_ONCE:
                break
        return pages
