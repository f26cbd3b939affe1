"""The audit of a crowd can be trusted: a true history passes, and each way to doctor it is found out."""

import copy
import sqlite3
from collections.abc import Callable

import pytest

from starwire.testing import World
from tests.chaos import checker
from tests.chaos.audit import INK, RULES, complaints, ledger_of, read_ledger, without_padding
from tests.chaos.history import History, Row, rows_of
from tests.chaos.test_checker import Recorded
from tests.support.ledger import app

Doctor = Callable[[History], None]


@pytest.fixture(scope="module")
def truth() -> History:
    """A little of everything that a crowd does."""
    with World(app, seed=7) as world:
        ann, ben = Recorded(world, "ann"), Recorded(world, "ben")
        for player in (ann, ben):
            player.order("enter", room=1)
            for mark in ("one", "two"):
                player.order("write", mark=mark)
            player.order("write", mark="wet", seconds=5.0)
            player.order("spoil", mark="gone")
            player.order("tell", mark="hear", room=1, bytes=3)
        world.advance(seconds=10)
        ann.order("write", mark="still wet", seconds=60.0)
        with world.database.read.begin() as connection:
            driver = connection.connection.driver_connection
            assert isinstance(driver, sqlite3.Connection)
            ledger = read_ledger(rows_of(driver))
            driver.row_factory = None
        witnesses = [ann.testify(), ben.testify()]
        for witness in witnesses:
            for seen in witness.seen.values():
                seen.events = [without_padding(event) for event in seen.events]
        return History(ledger, witnesses, world.now)


@pytest.fixture
def history(truth: History) -> History:
    return copy.deepcopy(truth)


def test_a_true_history_has_nothing_to_complain_of(history: History) -> None:
    assert complaints(history) == []


def line(history: History, command: str, nth: int = 0) -> Row:
    return [row for row in ledger_of(history).lines if row["command"] == command][nth]


def carry_out_twice(history: History) -> None:
    ledger_of(history).lines.append({**line(history, "write"), "line": 99})


def lose_what_was_acknowledged(history: History) -> None:
    ledger_of(history).lines.remove(line(history, "tell"))


def keep_what_was_refused(history: History) -> None:
    ledger_of(history).lines.append({"line": 99, "player": "ann", "command": "spoil", "mark": "gone"})


def write_for_somebody_else(history: History) -> None:
    line(history, "write")["player"] = "ben"


def tell_a_line_twice(history: History) -> None:
    events = history.database.events["room:1"]
    told = next(event for event in events if event.event == "told")
    events.append(copy.copy(told))


def tell_nobody(history: History) -> None:
    events = history.database.events["player:ann"]
    events.remove(next(event for event in events if event.event == "written"))


def dry_twice(history: History) -> None:
    ledger_of(history).lines.append({**line(history, INK), "line": 99})


def never_dry(history: History) -> None:
    ledger_of(history).lines.remove(line(history, INK))


def forget_the_ink(history: History) -> None:
    history.database.live.clear()


def spill_ink(history: History) -> None:
    wet = next(each for each in history.database.live if each.kind == INK)
    history.database.live.append(copy.copy(wet))


def write_in_another_order(history: History) -> None:
    first, second = line(history, "write"), line(history, "write", 1)
    first["line"], second["line"] = second["line"], first["line"]


def let_nobody_hear(history: History) -> None:
    events = history.database.events["player:ben"]
    events.remove(next(event for event in events if event.event == "subscribed"))


def let_somebody_hear_who_never_asked(history: History) -> None:
    events = history.database.events["player:ben"]
    granted = copy.deepcopy(next(event for event in events if event.event == "subscribed"))
    granted.data["stream"] = "room:2"
    events.append(granted)


def let_somebody_hear_twice(history: History) -> None:
    events = history.database.events["player:ben"]
    events.append(copy.deepcopy(next(event for event in events if event.event == "subscribed")))


DOCTORS: dict[Doctor, str] = {
    carry_out_twice: "every_command_has_one_line",
    lose_what_was_acknowledged: "every_command_has_one_line",
    keep_what_was_refused: "every_command_has_one_line",
    write_for_somebody_else: "every_command_has_one_line",
    tell_a_line_twice: "every_line_was_told_once",
    tell_nobody: "every_line_was_told_once",
    dry_twice: "every_ink_dries_once",
    never_dry: "every_ink_dries_once",
    forget_the_ink: "every_ink_dries_once",
    spill_ink: "every_ink_dries_once",
    write_in_another_order: "lines_stand_in_the_order_sent",
    let_nobody_hear: "whoever_entered_was_let_hear_once",
    let_somebody_hear_who_never_asked: "whoever_entered_was_let_hear_once",
    let_somebody_hear_twice: "whoever_entered_was_let_hear_once",
}


@pytest.mark.parametrize(("doctor", "rule"), DOCTORS.items(), ids=lambda each: getattr(each, "__name__", ""))
def test_a_doctored_history_is_found_out(history: History, doctor: Doctor, rule: str) -> None:
    doctor(history)
    found = complaints(history)
    assert any(complaint.startswith(f"{rule}: ") for complaint in found), f"only {found}"


def test_what_was_sent_again_may_have_lost_its_place_where_late_commands_are_dropped(
    history: History,
) -> None:
    write_in_another_order(history)
    ledger_of(history).drops_what_is_late = True
    assert any(found.startswith("lines_stand_in_the_order_sent: ") for found in complaints(history))
    first = next(order for order in history.witnesses[0].orders if order.command == "write")
    first.sent = 2
    assert complaints(history) == []


def test_every_rule_of_the_ledger_is_proven_by_a_doctor() -> None:
    """The others are proven by those of the game."""
    assert {rule.__name__ for rule in RULES} - {rule.__name__ for rule in checker.RULES} == set(
        DOCTORS.values()
    )
