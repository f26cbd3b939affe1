"""The checker can be trusted: a true history passes, and each way to doctor it is found out."""

import copy
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from herebedragons.app import app
from starwire.testing import CommandFailed, Player, World
from tests.chaos.checker import RULES, complaints
from tests.chaos.history import (
    Database,
    Event,
    History,
    Order,
    Process,
    Row,
    Seen,
    Witness,
    moment,
    read_database,
)

Doctor = Callable[[History], None]


class Recorded:
    """A player of a world whose orders are written down."""

    def __init__(self, world: World, name: str) -> None:
        self.player: Player = world.connect(name)
        self.witness = Witness(name)

    def order(self, command: str, **args: Any) -> Row:
        order = Order(f"{self.player.name}:{len(self.witness.orders) + 1}", command, args, sent=1)
        self.witness.orders.append(order)
        with suppress(CommandFailed):
            self.player.command(command, id=order.id, **args)
        order.replies = [
            frame for frame in self.player.frames if frame["type"] == "reply" and frame["id"] == order.id
        ]
        result: Row = order.replies[0].get("result", {})
        return result

    def testify(self) -> Witness:
        for push in self.player.frames:
            if push["type"] == "push":
                event = Event(
                    push["offset"], push["event"], moment(push["at"]), push["data"], push.get("message")
                )
                self.witness.seen.setdefault(push["stream"], Seen(event.offset - 1)).events.append(event)
        return self.witness


def play(world: World) -> list[Recorded]:
    """A game with everything in it that a rule is about."""
    ann, ben = Recorded(world, "ann"), Recorded(world, "ben")
    universe = ann.order("create_universe", name="Arda", pace=60)["universe"]
    there: Row = {"universe": universe}
    ben.order("join", invitation=ann.order("invite", **there)["invitation"])
    for structure in ("metal_mine", "crystal_mine", "metal_mine"):
        ann.order("build", **there, planet=1, structure=structure)
    ben.order("rename_planet", **there, planet=1, name="Endor")
    ben.order("cancel_construction", **there, construction=1)
    world.advance(hours=1)
    for structure in ("shield", "observatory"):
        ben.order("build", **there, planet=1, structure=structure)
    world.advance(hours=1)
    for star in range(1, 4):
        ann.order("send_probe", **there, star=star)
    world.advance(hours=5)
    for structure in ("storehouse", "metal_mine", "shield"):
        ben.order("build", **there, planet=1, structure=structure)
    world.advance(seconds=1)
    return [ann, ben]


@pytest.fixture(scope="module")
def truth() -> History:
    with World(app, seed=7) as world:
        players = play(world)
        with world.database.read.begin() as connection:
            driver = connection.connection.driver_connection
            assert isinstance(driver, sqlite3.Connection)
            database = read_database(driver)
            driver.row_factory = None
        return History(database, [each.testify() for each in players], world.now)


@pytest.fixture
def history(truth: History) -> History:
    return copy.deepcopy(truth)


def test_a_true_history_has_nothing_to_complain_of(history: History) -> None:
    assert complaints(history) == []


def test_the_true_history_has_something_for_every_rule(history: History) -> None:
    """Else the rules would have nothing to find."""
    events = {event.event for event in history.database.universe_stream(1)}
    assert events >= {
        "construction_queued", "construction_begun", "construction_complete", "construction_cancelled",
        "stars_discovered", "probe_sent", "probe_arrived", "dragons_inbound", "dragons_raided",
        "planet_renamed", "member_joined", "process_cancelled", "process_completed",
    }  # fmt: skip
    assert history.database.live
    assert history.database.constructions


# What a server could do wrong, each in the smallest way

STREAM = "universe:1"


def event_of(database: Database, name: str, nth: int = 0) -> Event:
    return [event for event in database.events[STREAM] if event.event == name][nth]


def order_of(history: History, command: str, nth: int = 0) -> tuple[Witness, Order]:
    found = [
        (witness, order)
        for witness in history.witnesses
        for order in witness.orders
        if order.command == command and order.replies[0]["ok"]
    ]
    return found[nth]


def finished(database: Database, kind: str, state: str = "completed") -> Process:
    return next(each for each in database.finished if (each.kind, each.state) == (kind, state))


def renumber(history: History, events: list[Event]) -> None:
    """Let the stream be these events, and everybody have been told so: no gap gives it away."""
    events = [replace(event, offset=offset) for offset, event in enumerate(events, start=1)]
    history.database.events[STREAM] = events
    history.database.heads[STREAM] = len(events)
    for witness in history.witnesses:
        seen = witness.seen[STREAM]
        seen.events = copy.deepcopy(events[seen.after :])


def without(history: History, name: str) -> None:
    gone = event_of(history.database, name)
    renumber(history, [event for event in history.database.events[STREAM] if event is not gone])


def twice(history: History, name: str) -> None:
    again = event_of(history.database, name)
    renumber(history, [*history.database.events[STREAM], replace(again, at=_last_at(history))])


def _last_at(history: History) -> datetime:
    return history.database.events[STREAM][-1].at


def lose_an_event(history: History) -> None:
    history.database.events[STREAM].pop(5)


def lose_the_head(history: History) -> None:
    history.database.heads[STREAM] -= 1


def tell_twice(history: History) -> None:
    told = history.witnesses[0].seen[STREAM].events
    told.insert(3, told[3])


def leave_one_out(history: History) -> None:
    history.witnesses[1].seen[STREAM].events.pop(4)


def tell_not_all(history: History) -> None:
    history.witnesses[1].seen[STREAM].events.pop()


def tell_before_the_commit(history: History) -> None:
    history.database.events[STREAM].pop()
    history.database.heads[STREAM] -= 1


def tell_something_else(history: History) -> None:
    history.witnesses[0].seen[STREAM].events[2].data["another"] = "thing"


def turn_back_time(history: History) -> None:
    event = history.database.events[STREAM][7]
    event.at -= timedelta(days=1)


def finish_and_keep_living(history: History) -> None:
    done = finished(history.database, "construct")
    history.database.live.append(replace(done, state="pending", finished_at=None))


def complete_what_was_cancelled(history: History) -> None:
    cancelled = event_of(history.database, "process_cancelled")
    also = replace(cancelled, event="process_completed", at=_last_at(history))
    renumber(history, [*history.database.events[STREAM], also])


def complete_twice(history: History) -> None:
    twice(history, "process_completed")


def forget_a_process(history: History) -> None:
    history.database.finished.remove(finished(history.database, "survey"))


def forget_the_counter(history: History) -> None:
    history.database.counters = dict.fromkeys(history.database.counters, 0)


def fail(history: History) -> None:
    finished(history.database, "probe").state = "failed"


def complete_late(history: History) -> None:
    done = finished(history.database, "construct")
    assert done.finished_at is not None
    done.finished_at += timedelta(seconds=3)


def leave_undone(history: History) -> None:
    assert history.settled_at is not None
    history.database.live[0].run_at = history.settled_at - timedelta(seconds=1)


def lose_an_acknowledged_command(history: History) -> None:
    witness, order = order_of(history, "build")
    del history.database.replies[witness.player, order.id]


def answer_twice_differently(history: History) -> None:
    _, order = order_of(history, "build")
    order.replies.append({**order.replies[0], "result": {}})


def answer_never(history: History) -> None:
    order_of(history, "build")[1].replies.clear()


def answer_internal(history: History) -> None:
    witness, order = order_of(history, "invite")
    reply = {"ok": False, "error": {"code": "internal"}}
    history.database.replies[witness.player, order.id] = reply
    order.replies = [reply]


def invent_a_reply(history: History) -> None:
    history.database.replies["ann", "nobody-1"] = order_of(history, "build")[1].replies[0]


def acknowledge_and_do_nothing(history: History) -> None:
    without(history, "construction_queued")


def do_twice(history: History) -> None:
    twice(history, "probe_sent")


def do_unasked(history: History) -> None:
    witness, order = order_of(history, "rename_planet")
    del history.database.replies[witness.player, order.id]
    witness.orders.remove(order)


def refund_twice(history: History) -> None:
    twice(history, "construction_cancelled")


def let_in_twice(history: History) -> None:
    history.database.members.append(history.database.members[0])


def forget_a_member(history: History) -> None:
    history.database.members.pop()


def take_another_order(history: History) -> None:
    history.witnesses[0].orders.reverse()


def pay_too_much(history: History) -> None:
    history.database.planets[0]["metal"] += 1


def say_too_much(history: History) -> None:
    event_of(history.database, "construction_queued", 1).data["resources"]["crystal"] += 0.01
    renumber(history, history.database.events[STREAM])


def build_a_level_too_many(history: History) -> None:
    history.database.planets[0]["crystal_mine"] += 1


def build_twice(history: History) -> None:
    twice(history, "construction_complete")


def build_and_say_nothing(history: History) -> None:
    without(history, "construction_complete")


def lose_an_order_in_the_queue(history: History) -> None:
    history.database.constructions.pop()


def lose_the_work(history: History) -> None:
    live = history.database.live
    live.remove(next(process for process in live if process.kind == "construct"))


def refund_another_sum(history: History) -> None:
    witness, order = order_of(history, "cancel_construction")
    for reply in (order.replies[0], history.database.replies[witness.player, order.id]):
        reply["result"]["refund"]["metal"] -= 1


def find_a_star_twice(history: History) -> None:
    twice(history, "stars_discovered")


def raid_twice(history: History) -> None:
    twice(history, "dragons_raided")


def lose_the_dragons(history: History) -> None:
    live = history.database.live
    live.remove(next(process for process in live if process.kind in {"sighting", "dragons"}))


def break_the_file(history: History) -> None:
    history.database.integrity.append("row 3 missing from index")


DOCTORS: dict[Doctor, str] = {
    break_the_file: "the_database_is_sound",
    lose_an_event: "streams_have_no_gap",
    lose_the_head: "streams_have_no_gap",
    tell_twice: "players_were_told_each_event_once",
    leave_one_out: "players_were_told_each_event_once",
    tell_not_all: "players_were_told_each_event_once",
    tell_before_the_commit: "players_were_told_each_event_once",
    tell_something_else: "players_were_told_each_event_once",
    turn_back_time: "times_never_go_back",
    finish_and_keep_living: "processes_end_once",
    complete_what_was_cancelled: "processes_end_once",
    complete_twice: "processes_end_once",
    forget_a_process: "processes_end_once",
    forget_the_counter: "processes_end_once",
    fail: "processes_end_once",
    complete_late: "completions_have_the_time_at_which_they_were_due",
    leave_undone: "nothing_due_is_left",
    lose_an_acknowledged_command: "every_command_has_one_reply",
    answer_twice_differently: "every_command_has_one_reply",
    answer_never: "every_command_has_one_reply",
    answer_internal: "every_command_has_one_reply",
    invent_a_reply: "every_command_has_one_reply",
    acknowledge_and_do_nothing: "every_command_has_one_effect",
    do_twice: "every_command_has_one_effect",
    do_unasked: "every_command_has_one_effect",
    refund_twice: "every_command_has_one_effect",
    let_in_twice: "crews_are_who_came",
    forget_a_member: "crews_are_who_came",
    take_another_order: "orders_take_effect_in_the_order_sent",
    pay_too_much: "books_balance",
    say_too_much: "books_balance",
    build_a_level_too_many: "books_balance",
    build_twice: "books_balance",
    build_and_say_nothing: "books_balance",
    lose_an_order_in_the_queue: "books_balance",
    lose_the_work: "books_balance",
    refund_another_sum: "books_balance",
    find_a_star_twice: "books_balance",
    raid_twice: "books_balance",
    lose_the_dragons: "books_balance",
}


@pytest.mark.parametrize(("doctor", "rule"), DOCTORS.items(), ids=lambda each: getattr(each, "__name__", ""))
def test_a_doctored_history_is_found_out(history: History, doctor: Doctor, rule: str) -> None:
    doctor(history)
    found = complaints(history)
    assert any(complaint.startswith(f"{rule}: ") for complaint in found), f"only {found}"


def test_every_rule_is_proven_by_a_doctor() -> None:
    assert {rule.__name__ for rule in RULES} == set(DOCTORS.values())


def test_times_of_tables_and_of_the_wire_are_the_same_times() -> None:
    assert (
        moment(1_500_000)
        == moment("1970-01-01T00:00:01.500000Z")
        == datetime(1970, 1, 1, 0, 0, 1, 500_000, UTC)
    )
