"""A gateway takes any frames of any clients in any order, also while it says goodbye: nothing in it raises,
every text gets one reply or the connection's end, and every stream arrives whole.
"""

import json
from collections import deque
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, rule
from structlog.testing import capture_logs

from starwire.errors import CLOSE_CODES, ERROR_CODES
from starwire.gateway.session import Session
from starwire.limits import Limits
from starwire.testing import World
from tests.support.ledger import app

LIMITS = Limits(
    commands_burst=12, commands_per_second=3.0, commands_in_flight=4, pending_commands=8, abuse_strikes=5,
    resume_streams=4, recent_events=3, catch_up_events=2, retained_events=6, connections_per_player=3,
)  # fmt: skip
ABORTED = 1006

names = st.sampled_from(["ann", "ben", "operator"])
streams = st.sampled_from(["player:ann", "player:ben", "all", "room:1", "room:2", "", "x" * 300])
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | names | streams,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8) | streams, inner, max_size=3)
    ),
    max_leaves=6,
)
hellos = st.fixed_dictionaries(
    {"token": names | st.just("") | json_values},
    optional={
        "epoch": st.none() | st.text(max_size=4) | json_values,
        "resume": st.dictionaries(streams, st.integers(-2, 12), max_size=5) | json_values,
    },
)
arguments = st.fixed_dictionaries(
    {},
    optional={
        "mark": st.text(max_size=4) | json_values,
        "room": st.integers(1, 2) | json_values,
        "seconds": st.floats(0, 5) | json_values,
        "t": json_values,
        "text": st.text(max_size=4),
    },
)
commands = st.sampled_from(
    [
        "write",
        "tell",
        "enter",
        "spoil",
        "count",
        "ping",
        "processes",
        "announce",
        "revoke_session",
        "dry",
        "hello",
        "",
    ]
)
ids = st.none() | st.sampled_from(["a", "b", "c"]) | st.text(max_size=3) | json_values


def frame(id: Any, command: Any, args: Any) -> str:
    return json.dumps({"id": id, "command": command, "args": args})


texts = st.one_of(
    st.builds(frame, ids, commands, arguments),
    st.builds(frame, ids, st.just("hello"), hellos),
    st.builds(frame, ids, st.just("refresh"), hellos),
    st.builds(frame, ids, commands | json_values, json_values),
    json_values.map(json.dumps),
    st.text(max_size=20),
)


class Ear:
    """A transport that keeps what it is given and checks that it may be said."""

    def __init__(self) -> None:
        self.address = "memory"
        self.closed: int | None = None
        self.replies = 0
        self.resume: dict[str, int] | None = None
        """What its hello asked for, where that is known."""
        self.cursors: dict[str, int] = {}
        self.written: deque[bytes] = deque()

    def write(self, framed: bytes) -> None:
        if self.closed is None:
            self.written.append(framed)

    def unsent(self) -> int:
        return sum(len(each) for each in self.written)

    def ping(self) -> None:
        """Nothing comes back: some clients are dead."""

    def close(self, code: int, reason: str) -> None:
        assert code in CLOSE_CODES, reason
        self.closed = self.closed or code

    def abort(self) -> None:
        self.closed = self.closed or ABORTED

    def listen(self) -> None:
        while self.written:
            heard = json.loads(self.written.popleft())
            getattr(self, f"_{heard['type']}")(heard)

    def _reply(self, reply: dict[str, Any]) -> None:
        self.replies += 1
        if not reply["ok"]:
            assert reply["error"]["code"] in ERROR_CODES
            assert reply["error"]["code"] != "internal"
        elif reply["command"] == "hello":
            assert not self.cursors, "hello was answered twice"
            for stream, start in reply["result"]["streams"].items():
                self.cursors[stream] = self._begins(stream, start)

    def _begins(self, stream: str, start: dict[str, Any]) -> int:
        """After which offset; -1: wherever."""
        if self.resume is None:
            return -1
        after = self.resume.get(stream)
        if after is None or not start["recovered"]:
            return int(start["offset"])
        return after or -1

    def _push(self, push: dict[str, Any]) -> None:
        stream, offset = push["stream"], push["offset"]
        assert stream in self.cursors, f"{stream} was never granted"
        assert self.cursors[stream] in {-1, offset - 1}, f"{stream}: {offset} after {self.cursors[stream]}"
        self.cursors[stream] = offset
        if push["event"] == "subscribed":
            self.cursors.setdefault(push["data"]["stream"], -1)

    def _resync(self, resync: dict[str, Any]) -> None:
        assert resync["stream"] in self.cursors
        self.cursors[resync["stream"]] = resync["offset"]

    def _status(self, status: dict[str, Any]) -> None:
        assert set(status) <= {"type", "lateness", "token_expires_in"}

    def _goodbye(self, goodbye: dict[str, Any]) -> None:
        assert goodbye["reconnect_after"] > 0


class AnyClients(RuleBasedStateMachine):
    """Clients that come, say anything, read or do not, and go; a clock that runs; a gateway that may stop."""

    clients = Bundle("clients")

    @initialize()
    def begin(self) -> None:
        self.world = World(app, seed=1, limits=LIMITS)
        self.ears: dict[Session, Ear] = {}

    def teardown(self) -> None:
        self.world.close()

    def do(self, action: Any) -> None:
        """Something happens, and everything that comes of it; nobody may notice an error."""
        with capture_logs() as logs:
            self.world.call(action)
        errors = [entry for entry in logs if entry["log_level"] in {"error", "critical"}]
        assert not errors, errors
        for ear in self.ears.values():
            ear.listen()

    @rule(target=clients)
    def come(self) -> Session:
        ear = Ear()
        session = self.world.hub.open(ear)
        self.ears[session] = ear
        return session

    @rule(
        target=clients,
        player=names,
        resume=st.none() | st.dictionaries(streams, st.integers(0, 9), max_size=4),
    )
    def come_in(self, player: str, resume: dict[str, int] | None) -> Session:
        return self.enter(player, resume or {})

    @rule(target=clients, player=names, seen=st.integers(0, 4))
    def come_back(self, player: str, seen: int) -> Session:
        return self.enter(player, {f"player:{player}": seen, "all": 0})

    def enter(self, player: str, resume: dict[str, int]) -> Session:
        """A connection whose hello is said."""
        ear = Ear()
        ear.resume = resume
        session = self.world.hub.open(ear)
        self.ears[session] = ear
        self.say(session, frame("h", "hello", {"token": player, "epoch": self.world.epoch, "resume": resume}))
        return session

    @rule(session=clients, player=names)
    def say_hello_again(self, session: Session, player: str) -> None:
        self.say(session, frame("again", "hello", {"token": player}))

    @rule(session=clients, room=st.integers(1, 2))
    def be_told_of(self, session: Session, room: int) -> None:
        """Something happens on two streams of whoever this is."""
        self.say(session, frame(None, "enter", {"room": room}))
        self.say(session, frame(None, "write", {"mark": "m"}))
        self.say(session, frame(None, "tell", {"mark": "m", "room": room}))

    @rule(session=clients, text=texts)
    def say(self, session: Session, text: str) -> None:
        ear = self.ears[session]
        was_closed, replies = ear.closed is not None, ear.replies
        self.do(lambda: session.text(text))
        if was_closed:
            assert ear.replies == replies
        elif ear.closed is None:
            assert ear.replies == replies + 1, f"{text} got {ear.replies - replies} replies"

    @rule(session=clients, several=st.lists(texts, max_size=8))
    def say_in_one_breath(self, session: Session, several: list[str]) -> None:
        ear = self.ears[session]
        was_closed, replies = ear.closed is not None, ear.replies

        def at_once() -> None:
            for text in several:
                session.text(text)

        self.do(at_once)
        if not was_closed and ear.closed is None:
            assert ear.replies == replies + len(several)

    @rule(session=clients)
    def say_bytes(self, session: Session) -> None:
        self.do(lambda: session.binary(b"\x00"))

    @rule(session=clients)
    def stop_reading(self, session: Session) -> None:
        self.do(session.full)

    @rule(session=clients)
    def read_on(self, session: Session) -> None:
        self.do(session.drained)

    @rule(session=consumes(clients))
    def go(self, session: Session) -> None:
        self.do(lambda: session.lost(ABORTED))
        del self.ears[session]

    @rule(seconds=st.floats(0, 30))
    def wait(self, seconds: float) -> None:
        self.world.advance(seconds=seconds)
        self.do(lambda: None)

    @rule()
    def stop(self) -> None:
        """The gateway says goodbye to everyone; the next one takes over."""
        hub = self.world.hub
        self.world._loop.run_until_complete(hub.drain("restart", 0.0))
        self.do(lambda: None)
        assert all(ear.closed is not None for ear in self.ears.values())
        hub.closing = False


class AnyClientsAtLength(AnyClients):
    """The same for longer."""


AnyClients.TestCase.settings = settings(max_examples=30, stateful_step_count=25)
AnyClientsAtLength.TestCase.settings = settings(max_examples=1000, stateful_step_count=50)
TestAnyClients = AnyClients.TestCase
TestAnyClientsAtLength = pytest.mark.soak(pytest.mark.timeout(1800)(AnyClientsAtLength.TestCase))
