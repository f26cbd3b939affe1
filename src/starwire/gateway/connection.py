"""What a connection may do next: the protocol of one client, without I/O.

::

    fresh ──hello──→ greeting ──welcome──→ open ──close──→ closed
      │                 │                   │
      └─ deadline 4408  └─ refused 44xx     └─ abuse 4400, expiry 4401, revocation 4403

Text goes in, actions come out; whoever holds the connection carries them out, in order. Whatever text comes
in, ``receive`` raises nothing. Time is given in, in seconds of a monotonic clock.

Next hop: ``session.py`` carries the actions out.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import Enum

import msgspec

from starwire.errors import Refused
from starwire.limits import Limits
from starwire.protocol import (
    BadFrame,
    ClientFrame,
    Hello,
    Ping,
    Refresh,
    decode_args,
    error_reply,
    parse,
)

_hello = msgspec.json.Decoder(Hello)
_refresh = msgspec.json.Decoder(Refresh)
_ping = msgspec.json.Decoder(Ping)


@dataclass(frozen=True, slots=True)
class Send:
    """Send this frame."""

    frame: bytes
    strike: str | None = None
    """Why the client's frame was bad, for the log; None: it was not."""


@dataclass(frozen=True, slots=True)
class Greet:
    """Check the token; then call ``welcome``, or close."""

    id: str | None
    hello: Hello


@dataclass(frozen=True, slots=True)
class Renew:
    """Check a new token for the open connection, and answer."""

    id: str | None
    token: str


@dataclass(frozen=True, slots=True)
class Echo:
    """Answer a ping with the server's time."""

    id: str | None
    t: object


@dataclass(frozen=True, slots=True)
class Forward:
    """A command or view for the engine; its reply must be told by ``answered``."""

    frame: ClientFrame


@dataclass(frozen=True, slots=True)
class Close:
    """Close the connection with a code of ``CLOSE_CODES``."""

    code: int
    reason: str


Action = Send | Greet | Renew | Echo | Forward | Close


class Phase(Enum):
    """How far a connection has come."""

    FRESH = "fresh"
    GREETING = "greeting"
    OPEN = "open"
    CLOSED = "closed"


class Connection:
    """The protocol of one client."""

    __slots__ = (
        "_allowance",
        "_allowed_at",
        "_limits",
        "_strikes",
        "_waiting",
        "_waiting_bytes",
        "in_flight",
        "leaving",
        "phase",
    )

    def __init__(self, limits: Limits, now: float) -> None:
        self.phase = Phase.FRESH
        self.in_flight = 0
        self.leaving = False
        """Goodbye was said: what was taken is answered, and nothing more is taken."""
        self._limits = limits
        self._allowance = float(limits.commands_burst)
        self._allowed_at = now
        self._strikes: list[float] = []
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = 0

    def receive(self, text: str, now: float) -> list[Action]:
        """One text frame has come.

        Frames that come while the token is checked wait for ``welcome``. Those for which there is no room are
        refused with ``rate_limited``, and no abuse: a page that comes back may have a lot to send.
        """
        if self.phase is Phase.CLOSED:
            return []
        if self.phase is Phase.GREETING and self._keep(text):
            return []
        try:
            frame = parse(text, id_bytes=self._limits.command_id_bytes)
        except BadFrame as bad:
            return self._strike(bad.reply, bad.code, now)
        refusal = self._spend(now)
        if refusal is None and self.phase is Phase.GREETING:
            seconds = self._limits.overloaded_seconds
            refusal = Refused("rate_limited", "Hello is not answered yet.", retry_after=seconds)
        if refusal is not None:
            return [Send(error_reply(frame.id, frame.command, refusal))]
        try:
            return self._understand(frame, now)
        except Refused as refused:
            return self._strike(error_reply(frame.id, frame.command, refused), refused.code, now)

    def receive_binary(self, now: float) -> list[Action]:
        """A binary frame has come; frames are text."""
        if self.phase is Phase.CLOSED:
            return []
        refused = Refused("malformed", "Frames are text: JSON. JSON please")
        return self._strike(error_reply(None, None, refused), "malformed", now)

    def welcome(self, now: float) -> list[Action]:
        """The token is good and the reply to hello has been sent; what waited meanwhile goes on."""
        if self.phase is not Phase.GREETING:
            return []
        self.phase = Phase.OPEN
        actions: list[Action] = []
        while self._waiting:
            actions += self.receive(self._waiting.popleft().decode(errors="surrogatepass"), now)
        return actions

    def answered(self) -> None:
        """A forwarded frame has its reply."""
        self.in_flight -= 1

    def closed(self) -> None:
        """The connection is over, or about to be."""
        self.phase = Phase.CLOSED
        self._waiting.clear()

    def _keep(self, text: str) -> bool:
        """Let a frame wait until hello is answered, if there is room; one frame always has."""
        data = text.encode(errors="surrogatepass")  # as a str, one emoji makes each character four bytes
        size = self._waiting_bytes + len(data)
        if self._waiting and (
            len(self._waiting) >= self._limits.commands_in_flight or size > self._limits.greeting_bytes
        ):
            return False
        self._waiting.append(data)
        self._waiting_bytes = size
        return True

    def _understand(self, frame: ClientFrame, now: float) -> list[Action]:
        if frame.command == "hello":
            if self.phase is not Phase.FRESH:
                raise Refused("invalid_args", "hello is said once; use refresh for a new token.")
            hello = decode_args(_hello, frame.args)
            if len(hello.resume) > self._limits.resume_streams:
                raise Refused("too_large", f"resume: at most {self._limits.resume_streams} streams.")
            self.phase = Phase.GREETING
            return [Greet(frame.id, hello)]
        if self.phase is Phase.FRESH:
            raise Refused("unauthorized", "Say hello first, with a token.")
        if frame.command == "ping":
            return [Echo(frame.id, decode_args(_ping, frame.args).t)]
        if frame.command == "refresh":
            return [Renew(frame.id, decode_args(_refresh, frame.args).token)]
        if self.leaving:
            refusal = Refused("unavailable", "The server is about to stop; send it again elsewhere.")
            return [Send(error_reply(frame.id, frame.command, refusal))]
        if self.in_flight >= self._limits.commands_in_flight:
            seconds = self._limits.overloaded_seconds
            sentence = f"At most {self._limits.commands_in_flight} commands may wait for their replies."
            refusal = Refused("rate_limited", sentence, retry_after=seconds)
            return [Send(error_reply(frame.id, frame.command, refusal))]
        self.in_flight += 1
        return [Forward(frame)]

    def _spend(self, now: float) -> Refused | None:
        """Take one from the allowance, which grows with time up to the burst."""
        limits = self._limits
        grown = (now - self._allowed_at) * limits.commands_per_second
        self._allowance = min(limits.commands_burst, self._allowance + grown)
        self._allowed_at = now
        if self._allowance < 1:
            wait = (1 - self._allowance) / limits.commands_per_second
            return Refused("rate_limited", "Too many commands.", retry_after=wait)
        self._allowance -= 1
        return None

    def _strike(self, reply: bytes, why: str, now: float) -> list[Action]:
        """Answer a bad frame; who sends many is closed."""
        horizon = now - self._limits.abuse_seconds
        self._strikes = [at for at in self._strikes if at > horizon]
        self._strikes.append(now)
        actions: list[Action] = [Send(reply, strike=why)]
        if len(self._strikes) > self._limits.abuse_strikes:
            actions += self._close(4400, "too many bad frames")
        return actions

    def _close(self, code: int, reason: str) -> list[Action]:
        self.closed()
        return [Close(code, reason)]
