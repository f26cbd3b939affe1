"""The broker of one OS process: in order, and never losing an event."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from starwire.batch import Event
from starwire.broker import Deliver


class MemoryBroker:
    """Carries events within one OS process: in order, and never losing one."""

    lossy = False

    def __init__(self) -> None:
        self._deliver: list[Deliver] = []
        self._streams: dict[str, int] = {}

    def attach(self, deliver: Deliver) -> None:
        """Give events of subscribed streams to ``deliver``."""
        self._deliver.append(deliver)

    def subscribe(self, stream: str) -> None:
        """Hear a stream."""
        self._streams[stream] = self._streams.get(stream, 0) + 1

    async def ready(self, streams: Sequence[str]) -> None:
        """It is heard at once."""

    def on_reconnect(self, function: Callable[[], None]) -> None:
        """Nothing is ever lost."""

    def unsubscribe(self, stream: str) -> None:
        """Hear it no longer."""
        count = self._streams.get(stream, 0) - 1
        if count > 0:
            self._streams[stream] = count
        else:
            self._streams.pop(stream, None)

    def publish(self, events: Sequence[Event]) -> None:
        """Hand over what was committed."""
        heard = [event for event in events if event.stream in self._streams]
        if heard:
            for deliver in self._deliver:
                deliver(heard)
