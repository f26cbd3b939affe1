"""Judges a history of the ledger: each acknowledged command once, each stream whole.

The ledger is the app of `tests/support/ledger.py`. What the framework promises of any game is judged by the
rules of `checker.py`; here are those that count the ledger's lines. `complaints` gives a sentence for
everything that is wrong.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace

from tests.chaos import checker
from tests.chaos.checker import times
from tests.chaos.history import Database, Event, History, Order, Row, Rows, collect_framework

INK = "dry"


@dataclass
class Ledger(Database):
    """The framework's tables, and every line in the order in which it was written."""

    lines: list[Row] = field(default_factory=list)
    drops_what_is_late: bool = False
    """Whether a command may be refused on its way; who did not hear of it sends it out of its place."""


def read_ledger(rows: Rows, integrity: Iterable[str] = (), *, drops_what_is_late: bool = False) -> Ledger:
    """Everything that claims are made about; padding is left out."""
    framework = collect_framework(rows, list(integrity))
    framework.events = {
        stream: [without_padding(event) for event in events] for stream, events in framework.events.items()
    }
    return Ledger(
        **vars(framework),
        lines=rows("SELECT * FROM lines ORDER BY line"),
        drops_what_is_late=drops_what_is_late,
    )


def without_padding(event: Event) -> Event:
    """The event with the length of its padding instead: loud rooms would fill the memory."""
    if "padding" not in event.data:
        return event
    return replace(event, data={**event.data, "padding": len(event.data["padding"])})


def complaints(history: History) -> list[str]:
    """What is wrong with the history, as sentences."""
    return [f"{rule.__name__}: {found}" for rule in RULES for found in rule(history)]


def ledger_of(history: History) -> Ledger:
    assert isinstance(history.database, Ledger)
    return history.database


def carried_out(history: History) -> Iterator[tuple[str, Order]]:
    """The commands of the ledger whose stored reply is ok, with their player."""
    for witness in history.witnesses:
        for order in witness.orders:
            reply = history.database.replies.get((witness.player, order.id))
            if reply is not None and reply["ok"]:
                yield witness.player, order


def every_command_has_one_line(history: History) -> Iterator[str]:
    """Both ways: what was answered with ok is there once, and nothing is there that nobody asked for."""
    asked = Counter(
        (player, order.command, order.args["mark"])
        for player, order in carried_out(history)
        if order.command != "enter"
    )
    there = Counter(
        (row["player"], row["command"], row["mark"])
        for row in ledger_of(history).lines
        if row["command"] != INK
    )
    for line in sorted(asked.keys() | there.keys()):
        if asked[line] != there[line]:
            yield f"{line} was answered with ok {asked[line]} times and is there {there[line]} times"


def every_line_was_told_once(history: History) -> Iterator[str]:
    """A line is an event of its writer's stream, or of a room's."""
    there = Counter((row["player"], row["command"], row["mark"]) for row in ledger_of(history).lines)
    told: Counter[tuple[str, str, str]] = Counter()
    for stream, events in history.database.events.items():
        player = stream.partition(":")[2]
        for event in events:
            if event.event == "written":
                told[player, "write", event.data["mark"]] += 1
            elif event.event == "told":
                told[event.data["player"], "tell", event.data["mark"]] += 1
            elif event.event == "dried":
                told[player, INK, event.data["mark"]] += 1
    for line in sorted(told.keys() | there.keys()):
        if told[line] != there[line]:
            yield f"{line} is there {there[line]} times and was told {told[line]} times"


def every_ink_dries_once(history: History) -> Iterator[str]:
    """A line with wet ink is one process; when that is completed there is one more line."""
    ledger = ledger_of(history)
    wet = {
        (player, order.args["mark"])
        for player, order in carried_out(history)
        if order.command == "write" and order.args.get("seconds") is not None
    }
    dry = Counter((row["player"], row["mark"]) for row in ledger.lines if row["command"] == INK)
    completed = Counter(
        (owner_of(process.stream), process.data["mark"])
        for process in ledger.finished
        if process.kind == INK and process.state == "completed"
    )
    live = Counter(
        (owner_of(process.stream), process.data["mark"]) for process in ledger.live if process.kind == INK
    )
    for ink in sorted(wet | dry.keys() | completed.keys() | live.keys()):
        if completed[ink] + live[ink] != (ink in wet):
            yield f"the ink of {ink} is {completed[ink] + live[ink]} processes"
        if dry[ink] != completed[ink]:
            yield f"the ink of {ink} dried {dry[ink]} times in {completed[ink]} completed processes"


def owner_of(stream: str | None) -> str:
    return (stream or "").partition(":")[2]


def lines_stand_in_the_order_sent(history: History) -> Iterator[str]:
    """Of each player, over all connections; what was put off has lost its place.

    So has what was put off without its sender's knowing, because the answer was lost with the connection.
    """
    ledger = ledger_of(history)
    places = {(row["player"], row["mark"]): row["line"] for row in ledger.lines if row["command"] == "write"}
    last: dict[str, tuple[int, str]] = {}
    for player, order in carried_out(history):
        may_be_late = ledger.drops_what_is_late and order.sent > 1
        if order.command != "write" or order.lost_its_place or may_be_late:
            continue
        place, before = places.get((player, order.args["mark"])), last.get(player, (0, ""))
        if place is None:
            continue  # the first rule's business
        if place < before[0]:
            yield f"{player} sent {order.id} after {before[1]}, and it took effect before"
        last[player] = (place, order.id)


def whoever_entered_was_let_hear_once(history: History) -> Iterator[str]:
    """However often they asked."""
    entered = {
        (player, f"room:{order.args['room']}")
        for player, order in carried_out(history)
        if order.command == "enter"
    }
    granted = Counter(
        (owner_of(stream), event.data["stream"])
        for stream, events in history.database.events.items()
        for event in events
        if event.event == "subscribed"
    )
    for grant in sorted(entered ^ granted.keys()):
        yield f"{grant} was {'never' if grant in entered else 'wrongly'} granted"
    for twice, count in times(Counter(granted.elements())).items():
        yield f"{twice} was granted {count} times"


RULES: tuple[Callable[[History], Iterator[str]], ...] = (
    checker.the_database_is_sound,
    checker.streams_have_no_gap,
    checker.players_were_told_each_event_once,
    checker.processes_end_once,
    checker.completions_have_the_time_at_which_they_were_due,
    checker.nothing_due_is_left,
    checker.every_command_has_one_reply,
    every_command_has_one_line,
    every_line_was_told_once,
    every_ink_dries_once,
    lines_stand_in_the_order_sent,
    whoever_entered_was_let_hear_once,
)
