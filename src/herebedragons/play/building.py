"""Building: an order is paid at once and waits its turn; the first in a planet's queue is a process.

The queue is a list of structures; their levels follow from their order. So taking one back moves the later
levels of the same structure down by one, with their prices and durations, and what comes back is what the
highest of them had cost: everything that remains is paid for exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import bindparam, delete, insert, update

import starwire
from herebedragons import events, rules, words
from herebedragons.commands import Build, CancelConstruction, Ordered, Refunded
from herebedragons.play.danger import enter
from herebedragons.play.exploring import look_at_the_sky
from herebedragons.processes import Construct
from herebedragons.rules import Price, Structure
from herebedragons.store import constructions
from herebedragons.universe import (
    Order,
    PlanetState,
    UniverseState,
    amount,
    orders_of,
    planet_of,
    queue,
    require,
    save_planet,
    save_universe,
    universe_of,
)

building = starwire.Module("building")


@building.command
def build(tx: starwire.Transaction, player: str, order: Build) -> Ordered:
    """Pay for one more level of a structure; it begins now, or when what waits before it is done."""
    universe = enter(tx, order.universe, player)
    planet = planet_of(tx.db, universe.id, order.planet)
    planet = planet.at(tx.now, universe.pace)
    waiting = orders_of(tx.db, universe.id, planet.planet)
    level = _next_level(planet, waiting, order.structure)
    price = rules.cost(order.structure, level)
    require(universe, planet, price, words.a_structure(order.structure, level))

    planet = replace(planet, stock=planet.stock.minus(price))
    save_planet(tx.db, planet)
    universe = save_universe(tx.db, universe, orders=universe.orders + 1)
    new = Order(
        construction=universe.orders,
        planet=planet.planet,
        player=player,
        structure=order.structure,
        level=level,
        price=price,
        seconds=rules.build_seconds(order.structure, level),
    )
    begun = None if waiting else _start(tx, universe, new)
    if begun is not None:
        new = replace(new, process=begun.process)
    _insert(tx, universe, new)
    line = queue([*waiting, new], universe.pace, tx.processes(Construct))
    resources = planet.resources(universe.pace)
    tx.publish(universe.stream, events.ConstructionQueued(planet.planet, line[-1], resources, line))
    if begun is None:
        return Ordered(new.construction, None, None, len(waiting))
    tx.publish(universe.stream, events.ConstructionBegun(planet.planet, line[0], line))
    return Ordered(new.construction, begun.process, begun.due_at, 0)


@building.command
def cancel_construction(tx: starwire.Transaction, player: str, order: CancelConstruction) -> Refunded:
    """Take an order back. Its cost returns in full, and if it was being built the next one begins now."""
    universe = enter(tx, order.universe, player)
    everything = orders_of(tx.db, universe.id)
    gone = next((each for each in everything if each.construction == order.construction), None)
    if gone is None:
        raise starwire.Rejected("not_found", "That is not being built; it may have been completed just now.")
    line = [each for each in everything if each.planet == gone.planet]
    planet = planet_of(tx.db, universe.id, gone.planet)
    rest, moved, refund = _without(line, gone)
    _nothing_else_needs_it(planet, rest, gone)

    planet = planet.at(tx.now, universe.pace)
    planet = replace(planet, stock=planet.stock.plus(refund))
    save_planet(tx.db, planet)
    _delete(tx, universe, gone)
    _move_down(tx, universe, moved)
    if gone.process is not None:
        tx.cancel(gone.process)
    tx.publish(
        universe.stream,
        events.ConstructionCancelled(
            planet.planet,
            gone.construction,
            gone.structure,
            gone.level,
            planet.resources(universe.pace),
            queue(rest, universe.pace, tx.processes(Construct)),
        ),
    )
    if gone.process is not None:
        _begin_next(tx, universe, rest)
    return Refunded(amount(refund))


@building.process
def construct(tx: starwire.Transaction, job: Construct) -> None:
    """A structure is complete. What waited behind it begins at this very moment, however late we notice."""
    universe = universe_of(tx.db, job.universe)
    done, *rest = orders_of(tx.db, universe.id, job.planet)
    planet = planet_of(tx.db, universe.id, job.planet)
    if done.construction != job.construction:
        raise LookupError(f"{job} is complete, but first in the queue is {done}")
    planet = planet.at(tx.now, universe.pace)
    planet = replace(planet, levels={**planet.levels, job.structure: job.level})
    save_planet(tx.db, planet)
    _delete(tx, universe, done)
    tx.publish(
        universe.stream,
        events.ConstructionComplete(
            planet.planet,
            job.structure,
            job.level,
            planet.resources(universe.pace),
            queue(rest, universe.pace, ()),
        ),
        message=f"The {words.structure(job.structure)} on {planet.name} is complete (level {job.level}).",
    )
    _begin_next(tx, universe, rest)
    if job.structure is Structure.OBSERVATORY:
        look_at_the_sky(tx, universe, planet)


# ------------------------------------------------------------------------------------------- what is refused


def _next_level(planet: PlanetState, waiting: Sequence[Order], structure: Structure) -> int:
    """The level that an order would build, if it may be given."""
    if len(waiting) >= rules.QUEUE_PER_PLANET:
        raise starwire.Rejected(
            "queue_full",
            f"The builders of {planet.name} have {rules.QUEUE_PER_PLANET} orders and only so many hands.",
            limit=rules.QUEUE_PER_PLANET,
        )
    planned = rules.with_queue(planet.levels, [each.structure for each in waiting])
    missing = rules.missing_need(structure, planned)
    if missing is not None:
        what = words.a_structure(*missing)
        raise starwire.Rejected(
            "needs_structure",
            words.sentence(f"{words.a_structure(structure)} needs {what} first."),
            structure=missing[0],
            level=missing[1],
        )
    level = planned[structure] + 1
    if level > rules.MAX_LEVEL:
        raise starwire.Rejected(
            "max_level",
            f"No {words.structure(structure)} has ever gone beyond level {rules.MAX_LEVEL}.",
            limit=rules.MAX_LEVEL,
        )
    return level


def _nothing_else_needs_it(planet: PlanetState, rest: Sequence[Order], gone: Order) -> None:
    place = rules.first_unbuildable(planet.levels, [each.structure for each in rest])
    if place is not None:
        needing, needed = words.structure(rest[place].structure), words.structure(gone.structure)
        raise starwire.Rejected(
            "needed_by_queue",
            f"The {needing} behind it needs the {needed}; cancel that first.",
            construction=rest[place].construction,
        )


# ------------------------------------------------------------------------------------------------- the queue


def _without(line: Sequence[Order], gone: Order) -> tuple[list[Order], list[Order], Price]:
    """The queue without an order: what remains, which of these changed, and what comes back.

    Each later order of the same structure takes over level, price and duration of the one before it.
    """
    rest, moved, vacant = [], [], gone
    for each in line:
        if each.construction == gone.construction:
            continue
        after = each
        if each.structure is gone.structure and each.construction > gone.construction:
            after = replace(each, level=vacant.level, price=vacant.price, seconds=vacant.seconds)
            moved.append(after)
            vacant = each
        rest.append(after)
    return rest, moved, vacant.price


def _begin_next(tx: starwire.Transaction, universe: UniverseState, line: Sequence[Order]) -> None:
    """Start the first in the queue, if there is one, and tell the crew."""
    if not line:
        return
    started = _start(tx, universe, line[0])
    mine = {"in_universe": universe.id, "of_order": line[0].construction}
    tx.db.execute(_BEGIN, mine | {"to_process": started.process})
    line = [replace(line[0], process=started.process), *line[1:]]
    wired = queue(line, universe.pace, tx.processes(Construct))
    tx.publish(universe.stream, events.ConstructionBegun(line[0].planet, wired[0], wired))


def _start(tx: starwire.Transaction, universe: UniverseState, order: Order) -> starwire.Started:
    return tx.start(
        Construct(universe.id, order.planet, order.structure, order.level, order.construction),
        due=rules.real(order.seconds, universe.pace),
        owner=order.player,
        stream=universe.stream,
    )


_THIS_ORDER = (
    constructions.c.universe == bindparam("in_universe"),
    constructions.c.construction == bindparam("of_order"),
)
_INSERT = insert(constructions)
_DELETE = delete(constructions).where(*_THIS_ORDER)
_BEGIN = update(constructions).where(*_THIS_ORDER).values(process=bindparam("to_process"))
_MOVE_DOWN = (
    update(constructions)
    .where(*_THIS_ORDER)
    .values({name: bindparam(f"to_{name}") for name in ("level", "metal", "crystal", "seconds")})
)


def _insert(tx: starwire.Transaction, universe: UniverseState, order: Order) -> None:
    row = {
        "universe": universe.id,
        "construction": order.construction,
        "planet": order.planet,
        "player": order.player,
        "structure": order.structure.value,
        "level": order.level,
        "metal": order.price.metal,
        "crystal": order.price.crystal,
        "seconds": order.seconds,
        "process": order.process,
    }
    tx.db.execute(_INSERT, row)


def _delete(tx: starwire.Transaction, universe: UniverseState, order: Order) -> None:
    tx.db.execute(_DELETE, {"in_universe": universe.id, "of_order": order.construction})


def _move_down(tx: starwire.Transaction, universe: UniverseState, moved: Sequence[Order]) -> None:
    if not moved:
        return
    rows = [
        {
            "in_universe": universe.id,
            "of_order": each.construction,
            "to_level": each.level,
            "to_metal": each.price.metal,
            "to_crystal": each.price.crystal,
            "to_seconds": each.seconds,
        }
        for each in moved
    ]
    tx.db.execute(_MOVE_DOWN, rows)
