"""Judges a history: everything that kill -9 must not have done to it.

Effects are counted twice, from outside (what players were answered and told) and in the tables, and each rule
below is one claim. `complaints` gives a sentence for everything that is wrong; none is a clean bill. Whether
the resources add up is in `books.py`.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise

from tests.chaos.books import books_balance
from tests.chaos.history import Database, Event, History, Order, Process, Row, Witness, moment

ENDS = ("process_completed", "process_cancelled", "process_failed")


def complaints(history: History) -> list[str]:
    """What is wrong with the history, as sentences."""
    return [f"{rule.__name__}: {found}" for rule in RULES for found in rule(history)]


def times(counts: Counter[object]) -> dict[object, int]:
    """What was counted more than once."""
    return {what: count for what, count in counts.items() if count > 1}


# --------------------------------------------------------------------------------------------------- streams


def the_database_is_sound(history: History) -> Iterator[str]:
    yield from history.database.integrity


def streams_have_no_gap(history: History) -> Iterator[str]:
    """Offsets are 1, 2, 3… up to the head, in every stream."""
    database = history.database
    for stream in sorted(set(database.heads) | set(database.events)):
        offsets = [event.offset for event in database.events.get(stream, ())]
        head = database.heads.get(stream)
        if offsets != list(range(1, len(offsets) + 1)) or head != len(offsets):
            yield f"{stream} has the head {head} and the offsets {offsets}"


def players_were_told_each_event_once(history: History) -> Iterator[str]:
    """What a player was told of a stream, over all connections, is the stream from where they came in."""
    for witness in history.witnesses:
        for stream, seen in witness.seen.items():
            table = history.database.events.get(stream, [])[seen.after :]
            for told, kept in zip(seen.events, table, strict=False):
                if told != kept:
                    yield f"{witness.player} was told {told} on {stream}, where the table has {kept}"
                    break
            if len(seen.events) > len(table):
                told = seen.events[len(table)]
                yield f"{witness.player} was told {told} on {stream}, which is not in the table"
            if history.settled_at is not None and len(seen.events) < len(table):
                yield f"{witness.player} was never told {table[len(seen.events)]} on {stream}"


def times_never_go_back(history: History) -> Iterator[str]:
    """What a universe tells is in order of time, also when it was told late."""
    for universe in history.database.universes:
        stream = history.database.universe_stream(universe["id"])
        for before, after in pairwise(stream):
            if after.at < before.at:
                yield f"universe:{universe['id']}: {after} is earlier than {before}"


# ------------------------------------------------------------------------------------------------- processes


def processes_end_once(history: History) -> Iterator[str]:
    """A process is live or finished, began once, ended at most once, and the table says what was told."""
    database = history.database
    everything = [*database.live, *database.finished]
    for id, count in times(Counter(process.id for process in everything)).items():
        yield f"process {id} is in the tables {count} times"
    ends, starts = _told_of_processes(database)
    partitions = len(database.counters)
    for process in everything:
        yield from _told_right(process, starts.get(process.id, []), ends.get(process.id, []))
        if process.id // partitions > database.counters[process.id % partitions]:
            yield f"process {process.id} is beyond its partition's counter: its id will be given again"
    for id in sorted((set(ends) | set(starts)) - {process.id for process in everything}):
        yield f"process {id} was told of and is in no table"


def _told_of_processes(database: Database) -> tuple[dict[int, list[Event]], dict[int, list[Event]]]:
    ends: dict[int, list[Event]] = {}
    starts: dict[int, list[Event]] = {}
    for events in database.events.values():
        for event in events:
            if event.event in ENDS:
                ends.setdefault(event.data["process"], []).append(event)
            elif event.event == "process_started":
                starts.setdefault(event.data["process"], []).append(event)
    return ends, starts


def _told_right(process: Process, starts: list[Event], ends: list[Event]) -> Iterator[str]:
    name = f"{process.kind} {process.id}"
    over = process.finished_at is not None
    if process.state not in ({"completed", "cancelled"} if over else {"pending"}):
        yield f"{name} is {process.state}"
    told = process.stream is not None
    if len(starts) != told:
        yield f"{name} was told to begin {len(starts)} times"
    if [event.event for event in ends] != [f"process_{process.state}"] * (told and over):
        yield f"{name} is {process.state}, and was told of as {[event.event for event in ends]}"
    for event in starts:
        if (event.at, moment(event.data["due_at"])) != (process.started_at, process.due_at):
            yield f"{name} is from {process.started_at} to {process.due_at}, and was told of as {event}"
    for event in ends:
        if event.at != process.finished_at:
            yield f"{name} ended at {process.finished_at}, and was told of as {event}"


def completions_have_the_time_at_which_they_were_due(history: History) -> Iterator[str]:
    """However late they ran."""
    for process in history.database.finished:
        name, at = f"{process.kind} {process.id}, due at {process.due_at},", process.finished_at
        if process.state == "completed" and at != process.due_at:
            yield f"{name} was completed at {at}"
        elif at is not None and at > process.due_at:
            yield f"{name} was cancelled after that, at {at}"


def nothing_due_is_left(history: History) -> Iterator[str]:
    """Once a server is up and says so."""
    for process in history.database.live:
        if history.settled_at is not None and process.run_at < history.settled_at:
            yield f"{process.kind} {process.id} was due at {process.run_at} and is {process.state}"


# -------------------------------------------------------------------------------------------------- commands


def every_command_has_one_reply(history: History) -> Iterator[str]:
    """Every reply to an id is the same one, the stored one; no reply is stored that nobody asked for."""
    kept = history.database.replies
    for witness in history.witnesses:
        orders = {order.id: order for order in witness.orders}
        for player, id in kept:
            if player == witness.player and id not in orders:
                yield f"a reply is stored to {id}, which {player} never sent"
        for order in witness.orders:
            stored = kept.get((witness.player, order.id))
            for reply in order.replies:
                if reply != stored:
                    yield f"{witness.player} got {reply} to {order}; stored is {stored}"
            if stored is not None and not stored["ok"] and stored["error"]["code"] != "rejected":
                yield f"{witness.player} sent {order} and is answered {stored}"
            if history.settled_at is not None and not order.answered:
                yield f"{witness.player} sent {order} and never got a reply"


Effects = Counter[object]


def every_command_has_one_effect(history: History) -> Iterator[str]:
    """What was answered with ok happened once, and nothing happened that no command asked for."""
    for name, (of_reply, of_database) in EFFECTS.items():
        asked: Effects = Counter(
            of_reply(order.args, reply["result"], witness)
            for witness, order, reply in _carried_out(history)
            if order.command == name
        )
        happened: Effects = Counter(of_database(history.database))
        for effect in sorted(asked.keys() | happened.keys(), key=str):
            if asked[effect] != happened[effect]:
                yield (
                    f"{name} of {effect} was answered with ok {asked[effect]} times and happened"
                    f" {happened[effect]} times"
                )


def _carried_out(history: History) -> Iterator[tuple[Witness, Order, Row]]:
    """The commands whose stored reply is ok. Those without a stored reply must have left no trace."""
    for witness in history.witnesses:
        for order in witness.orders:
            reply = history.database.replies.get((witness.player, order.id))
            if reply is not None and reply["ok"]:
                yield witness, order, reply


def _of_universes(event: str, effect: Callable[[int, Row], object]) -> Callable[[Database], Iterable[object]]:
    def found(database: Database) -> Iterable[object]:
        for universe in database.universes:
            for each in database.universe_stream(universe["id"]):
                if each.event == event:
                    yield effect(universe["id"], each.data)

    return found


EFFECTS: dict[
    str, tuple[Callable[[Row, Row, Witness], object], Callable[[Database], Iterable[object]]]
] = {
    "create_universe": (
        lambda args, result, _: (result["universe"], args["name"], args["pace"]),
        _of_universes("universe_created", lambda id, data: (id, data["name"], data["pace"])),
    ),
    "build": (
        lambda args, result, _: (
            args["universe"], args["planet"], args["structure"], result["construction"], result["position"],
        ),
        _of_universes(
            "construction_queued",
            lambda id, data: (
                id, data["planet"], data["construction"]["structure"], data["construction"]["construction"],
                data["construction"]["position"],
            ),
        ),
    ),
    "cancel_construction": (
        lambda args, _, __: (args["universe"], args["construction"]),
        _of_universes("construction_cancelled", lambda id, data: (id, data["construction"])),
    ),
    "send_probe": (
        lambda args, result, _: (args["universe"], args["star"], result["process"]),
        _of_universes("probe_sent", lambda id, data: (id, data["star"], data["probe"]["process"])),
    ),
    "rename_planet": (
        lambda args, _, __: (args["universe"], args["planet"], args["name"]),
        _of_universes("planet_renamed", lambda id, data: (id, data["planet"], data["name"])),
    ),
}  # fmt: skip


def crews_are_who_came(history: History) -> Iterator[str]:
    """Whoever created or joined a universe is in it once, was told so once, and hears it."""
    database = history.database
    came = {
        (witness.player, reply["result"]["universe"])
        for witness, order, reply in _carried_out(history)
        if order.command in {"create_universe", "join"}
    }
    rows = Counter((row["player"], row["universe"]) for row in database.members)
    opened = Counter(
        (stream.partition(":")[2], event.data["universe"])
        for stream, events in database.events.items()
        for event in events
        if event.event == "universe_opened"
    )
    granted = Counter(
        (stream.partition(":")[2], int(event.data["stream"].partition(":")[2]))
        for stream, events in database.events.items()
        for event in events
        if event.event == "subscribed"
    )
    for what, counted in (("is in", rows), ("was told of", opened), ("was let hear", granted)):
        for player, universe in sorted(came | counted.keys()):
            count = counted[player, universe]
            if count != ((player, universe) in came):
                yield f"{player} {what} universe {universe} {count} times"


def orders_take_effect_in_the_order_sent(history: History) -> Iterator[str]:
    """Of one player in one universe, over all connections; what was put off has lost its place."""
    places = {
        (universe["id"], name, mark): event.offset
        for universe in history.database.universes
        for event in history.database.universe_stream(universe["id"])
        for name, mark in [_mark(event)]
        if name
    }
    last: dict[tuple[str, int], tuple[int, str]] = {}
    for witness, order, reply in _carried_out(history):
        if order.command not in MARKS or order.lost_its_place:
            continue
        mark = MARKS[order.command](order, reply)
        universe = order.args["universe"]
        place = places.get((universe, order.command, mark))
        before = last.get((witness.player, universe), (0, ""))
        if place is not None and place < before[0]:
            yield f"{witness.player} sent {order.id} after {before[1]}, and it took effect before"
        if place is not None:
            last[witness.player, universe] = (place, order.id)


MARKS: dict[str, Callable[[Order, Row], object]] = {
    "build": lambda _, reply: reply["result"]["construction"],
    "cancel_construction": lambda order, _: order.args["construction"],
    "send_probe": lambda order, _: order.args["star"],
    "rename_planet": lambda order, _: order.args["name"],
}


def _mark(event: Event) -> tuple[str, object]:
    """The command that an event is the effect of, and what tells it from others."""
    data = event.data
    match event.event:
        case "construction_queued":
            return "build", data["construction"]["construction"]
        case "construction_cancelled":
            return "cancel_construction", data["construction"]
        case "probe_sent":
            return "send_probe", data["star"]
        case "planet_renamed":
            return "rename_planet", data["name"]
    return "", None


RULES: tuple[Callable[[History], Iterator[str]], ...] = (
    the_database_is_sound,
    streams_have_no_gap,
    players_were_told_each_event_once,
    times_never_go_back,
    processes_end_once,
    completions_have_the_time_at_which_they_were_due,
    nothing_due_is_left,
    every_command_has_one_reply,
    every_command_has_one_effect,
    crews_are_who_came,
    orders_take_effect_in_the_order_sent,
    books_balance,
)
