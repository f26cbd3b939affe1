"""One client at this gateway: its connection's actions carried out, and its cursors on streams.

A session is a cursor on durable streams. What it has been given is ``cursors``; what it cannot take now
(its transport is full, or it is behind) it reads later, from the hub's recent events or from the table. So a
slow reader costs a few numbers, and loses nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import structlog

from starwire.batch import Command
from starwire.clock import isoformat
from starwire.errors import Refused
from starwire.gateway.connection import Close, Connection, Echo, Forward, Greet, Phase, Renew, Send
from starwire.identity import Identity
from starwire.process import partition_of
from starwire.protocol import ClientFrame, Status, decode_args, digest, encode, error_reply, ok_reply
from starwire.system import INTERNAL

if TYPE_CHECKING:
    from starwire.gateway.connection import Action
    from starwire.gateway.hub import Hub

log = structlog.get_logger("starwire.gateway")


class Transport(Protocol):
    """Where frames leave. The WebSocket adapter is one; the test kit's memory is another."""

    address: str

    def write(self, framed: bytes) -> None:
        """Send bytes that ``Hub.wrap`` has made of a frame."""
        ...

    def unsent(self) -> int:
        """How many bytes were written and not taken yet."""
        ...

    def ping(self) -> None:
        """Ask the other side for a sign of life."""
        ...

    def close(self, code: int, reason: str) -> None:
        """Close with a code, after what was written."""
        ...

    def abort(self) -> None:
        """End at once; what was not sent is dropped."""
        ...


@dataclass(slots=True)
class Vitals:
    """When a session was last heard and what it owes, in monotonic seconds."""

    opened: float
    heard: float
    pinged: float | None = None
    full_until: float | None = None
    """When a full session is given up; what it takes meanwhile gives it time."""
    unsent: int | None = None
    """Of a full session: the bytes that it had not taken at the last look."""
    warned: bool = False


class Session:
    """One client at this gateway."""

    __slots__ = (
        "_hub",
        "_transport",
        "connection",
        "cursors",
        "identity",
        "since",
        "vitals",
        "writable",
    )

    def __init__(self, hub: Hub, transport: Transport) -> None:
        now = hub.clock.monotonic()
        self.connection = Connection(hub.limits, now)
        self.cursors: dict[str, int] = {}
        self.identity: Identity | None = None
        self.since = 0
        """The head of the player's own stream at hello: control events up to it are in the past."""
        self.vitals = Vitals(now, now)
        self.writable = True
        self._hub = hub
        self._transport = transport

    @property
    def player(self) -> str | None:
        """The player's `sub`, once authenticated."""
        return None if self.identity is None else self.identity.sub

    @property
    def address(self) -> str:
        """Where the client comes from."""
        return self._transport.address

    # From the transport

    def text(self, text: str) -> None:
        """A text frame has come."""
        now = self._hub.clock.monotonic()
        self.heard(now)
        self.perform(self.connection.receive(text, now))

    def binary(self, _data: bytes) -> None:
        """A binary frame has come."""
        now = self._hub.clock.monotonic()
        self.heard(now)
        self.perform(self.connection.receive_binary(now))

    def heard(self, now: float | None = None) -> None:
        """The other side has shown a sign of life."""
        self.vitals.heard = self._hub.clock.monotonic() if now is None else now
        self.vitals.pinged = None

    def full(self) -> None:
        """The transport takes no more: nothing is given to this session until it has drained."""
        self.writable = False
        self.vitals.full_until = self._hub.clock.monotonic() + self._hub.limits.stalled_seconds
        self.vitals.unsent = None

    def drained(self) -> None:
        """The transport takes more: go on from the cursors."""
        self.writable = True
        self.vitals.full_until = None
        self._hub.catch_up(self)

    def lost(self, code: int) -> None:
        """The connection is over."""
        self.connection.closed()
        log.info("disconnected", sub=self.player, code=code, address=self.address)
        self._hub.leave(self)

    # To the transport

    def send(self, frame: bytes) -> None:
        """Send one frame."""
        self._transport.write(self._hub.wrap(frame))

    def write(self, framed: bytes) -> None:
        """Send bytes that are framed already."""
        self._transport.write(framed)

    def close(self, code: int, reason: str) -> None:
        """Close with a code that the client understands."""
        if self.connection.phase is not Phase.CLOSED or code == 4400:
            self.connection.closed()
            log.info("closing", sub=self.player, code=code, reason=reason)
        self._transport.close(code, reason)

    def abort(self) -> None:
        """End at once."""
        self.connection.closed()
        self._transport.abort()

    def check(self, now: float) -> None:
        """Keep the deadlines of hello, silence, stalled reading and the token. Called each second."""
        limits, vitals = self._hub.limits, self.vitals
        phase = self.connection.phase
        if phase in (Phase.FRESH, Phase.GREETING):
            if now - vitals.opened > limits.hello_seconds:
                self.close(4408, "no hello in time")
            return
        if self._expires_in() <= 0:
            self.close(4401, "the token has expired")  # also of one that reads nothing: it may still command
            return
        if vitals.full_until is not None:
            self._check_reading(now, vitals.full_until)
            return
        if vitals.pinged is not None:
            if now - vitals.pinged > limits.pong_seconds:
                log.info("silent", sub=self.player)
                self.abort()
        elif now - vitals.heard > limits.ping_seconds:
            vitals.pinged = now
            self._transport.ping()
        self._warn()

    def _check_reading(self, now: float, until: float) -> None:
        """Replies may be megabytes: who reads them at a modest rate has time, who has stopped is aborted."""
        limits, vitals = self._hub.limits, self.vitals
        before, vitals.unsent = vitals.unsent, self._transport.unsent()
        if before is not None:
            until += max(0, before - vitals.unsent) / limits.body_bytes_per_second
        vitals.full_until = min(now + limits.stalled_seconds, until)
        if now > vitals.full_until:
            log.warning("stalled", sub=self.player)
            self.abort()

    def _expires_in(self) -> float:
        """Seconds until the token of an open connection expires."""
        identity = self.identity
        if identity is None or identity.expires_at is None or self.connection.phase is not Phase.OPEN:
            return math.inf
        return (identity.expires_at - self._hub.clock.now()) / 1e6

    def _warn(self) -> None:
        left = self._expires_in()
        if left <= self._hub.limits.token_warning_seconds and not self.vitals.warned:
            self.vitals.warned = True
            self.send(encode(Status(token_expires_in=round(left, 1))))

    # What the protocol asks for

    def perform(self, actions: list[Action]) -> None:
        """Carry out what the connection asks for, in order."""
        for action in actions:
            if isinstance(action, Forward):
                self._forward(action.frame)
            elif isinstance(action, Send):
                if action.strike is not None:
                    log.warning("bad_frame", sub=self.player, code=action.strike, address=self.address)
                self.send(action.frame)
            elif isinstance(action, Echo):
                now = isoformat(self._hub.clock.now())
                self.send(ok_reply(action.id, "ping", encode({"t": action.t, "server_time": now})))
            elif isinstance(action, Greet):
                self._hub.greet(self, action)
            elif isinstance(action, Renew):
                self._hub.renew(self, action)
            elif isinstance(action, Close):
                self.close(action.code, action.reason)

    def _forward(self, frame: ClientFrame) -> None:
        try:
            self._submit(frame)
        except Refused as refusal:
            self.connection.answered()
            self._hub.count(frame.command, refusal.code)
            self.send(error_reply(frame.id, frame.command, refusal))
        except Exception:
            self.connection.answered()
            log.exception("command_failed", command=frame.command, sub=self.player)
            failure = Refused("internal", "The command failed on the server.")
            self.send(error_reply(frame.id, frame.command, failure))

    def _submit(self, frame: ClientFrame) -> None:
        hub, identity = self._hub, self.identity
        if identity is None:
            raise Refused("unauthorized", "Say hello first, with a token.")
        answer = self._answer(frame)
        view = hub.registry.views.get(frame.command)
        if view is not None or frame.command == "processes":
            if view is not None and not identity.allows(view.requires):
                raise Refused("unauthorized", f"{frame.command} needs the claim {view.requires!r}.")
            hub.engine.view(view, identity, frame.id, frame.args, answer)
            return
        kind = hub.registry.commands.get(frame.command)
        if kind is None or kind.requires == INTERNAL:
            raise Refused("unknown_command", f"No command or view is named {frame.command!r}.")
        if not identity.allows(kind.requires):
            raise Refused("unauthorized", f"{frame.command} needs the claim {kind.requires!r}.")
        order = decode_args(kind.decoder, frame.args)
        args = encode(order)
        key = order.key(identity.sub)
        if hub.journeys is not None and frame.id is not None:
            hub.journeys.received(identity.sub, frame.id, kind.name)
        hub.engine.submit(
            Command(
                player=identity.sub,
                id=frame.id,
                name=kind.name,
                args=args,
                digest=digest(kind.name, args),
                key=key,
                partition=partition_of(key, hub.engine.partitions),
                identity=identity,
            ),
            answer,
            self,
        )

    def _answer(self, frame: ClientFrame) -> Callable[[bytes], None]:
        arrived = self._hub.clock.monotonic()

        def answer(reply: bytes) -> None:
            self.connection.answered()
            self._hub.answered(self, frame, reply, arrived)
            if self.connection.phase is not Phase.CLOSED:
                self.send(reply)

        return answer
