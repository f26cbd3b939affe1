"""The contract of a broker: it carries committed events to the gateways that have somebody who hears them.

The row is the truth, the message a hint: a broker may lose, repeat or reorder events, and the hub repairs
that from offsets and the table. ``engines/embedded.py`` has the one in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from starwire.batch import Event

Deliver = Callable[[Sequence[Event]], None]


class Broker(Protocol):
    """Carries events from where they were committed to where they are heard.

    ``lossy`` says that messages may be lost, so that heads must be compared with the table now and then.
    """

    lossy: bool

    def attach(self, deliver: Deliver) -> None:
        """Give events of subscribed streams to ``deliver``, on the event loop, many at once."""
        ...

    def subscribe(self, stream: str) -> None:
        """Hear a stream from about now; read history after this, never before."""
        ...

    async def ready(self, streams: Sequence[str]) -> None:
        """Wait until what was asked for by ``subscribe`` is heard, or will not be."""
        ...

    def on_reconnect(self, function: Callable[[], None]) -> None:
        """Call a function when messages may have been lost; a broker that loses none never does."""
        ...

    def unsubscribe(self, stream: str) -> None:
        """Hear it no longer."""
        ...
