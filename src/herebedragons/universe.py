"""A universe as handlers see it: rows turned into values, and values back into rows.

Reading is a fixed number of statements however many planets, stars and orders there are. Nothing here
decides anything: the rules do, and `play` acts on what they say.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import BindParameter, bindparam, select, update

import starwire
from herebedragons import rules, sky, wire, words
from herebedragons.commands import universe_key
from herebedragons.rules import Pace, Price, Stock, Structure
from herebedragons.store import Database, constructions, members, planets, stars, universes

HOME_PLANET = 1
"""The number of the planet where it all began; dragons know no other."""


@dataclass(frozen=True, slots=True)
class UniverseState:
    """A universe's own row."""

    id: int
    name: str
    pace: Pace
    seed: int
    created_at: datetime
    invitation: str | None
    orders: int
    visits: int
    quiet_visits: int

    @property
    def stream(self) -> str:
        """Where its members hear of it."""
        return universe_key(self.id)


@dataclass(frozen=True, slots=True)
class PlanetState:
    """A planet: what is in store at `stock.at`, and what stands on it."""

    universe: int
    planet: int
    star: int
    name: str
    stock: Stock
    levels: dict[Structure, int]

    def at(self, now: datetime, pace: int) -> PlanetState:
        """The planet at `now`, provided that nothing was built meanwhile."""
        return replace(self, stock=self.stock.until(now, self.levels, pace))

    def raided(self) -> tuple[PlanetState, Price]:
        """The planet after a raid, and what was lost."""
        stock, lost = rules.raided(self.stock)
        return replace(self, stock=stock), lost

    def resources(self, pace: int) -> wire.Resources:
        """The stock as the wire has it, with real rates."""
        return wire.Resources(
            metal=self.stock.metal,
            crystal=self.stock.crystal,
            metal_per_hour=rules.metal_per_hour(self.levels[Structure.METAL_MINE]) * pace,
            crystal_per_hour=rules.crystal_per_hour(self.levels[Structure.CRYSTAL_MINE]) * pace,
            capacity=rules.capacity(self.levels[Structure.STOREHOUSE]),
            at=self.stock.at,
        )


@dataclass(frozen=True, slots=True)
class Order:
    """A row of a planet's queue. The first one is being built and has a process and times."""

    construction: int
    planet: int
    player: str
    structure: Structure
    level: int
    price: Price
    seconds: int
    process: int | None = None


# --------------------------------------------------------------------------------------------- from the rows
#
# Statements are built once: that costs SQLAlchemy about as much as running one.

_IN_UNIVERSE: BindParameter[int] = bindparam("in_universe")

_UNIVERSE = select(universes).where(universes.c.id == _IN_UNIVERSE)

_MEMBERS_UNIVERSE = _UNIVERSE.join(members, members.c.universe == universes.c.id).where(
    members.c.player == bindparam("of_player")
)

_PLANETS = select(planets).where(planets.c.universe == _IN_UNIVERSE).order_by(planets.c.planet)

_PLANET = select(planets).where(
    planets.c.universe == _IN_UNIVERSE, planets.c.planet == bindparam("of_planet")
)

_ORDERS = (
    select(constructions)
    .where(constructions.c.universe == _IN_UNIVERSE)
    .order_by(constructions.c.construction)
)

_PLANETS_ORDERS = _ORDERS.where(constructions.c.planet == bindparam("of_planet"))

CHARTED = (
    select(stars)
    .where(stars.c.universe == _IN_UNIVERSE, stars.c.discovered_at.is_not(None))
    .order_by(stars.c.star)
)
"""The discovered stars of `in_universe`."""


def universe_of(db: Database, universe: int) -> UniverseState:
    """The universe that a process belongs to."""
    row = db.execute(_UNIVERSE, {"in_universe": universe}).one()
    return UniverseState(*row)


def members_universe(db: Database, universe: int, player: str) -> UniverseState:
    """The universe, for one of its members.

    Raises:
        Rejected: `not_a_member`, also when there is no such universe: nobody learns which exist.
    """
    row = db.execute(_MEMBERS_UNIVERSE, {"in_universe": universe, "of_player": player}).one_or_none()
    if row is None:
        raise starwire.Rejected("not_a_member", "This universe is not on any chart of yours.")
    return UniverseState(*row)


def planets_of(db: Database, universe: int) -> list[PlanetState]:
    """All planets of the crew, home first."""
    return [_planet(row) for row in db.execute(_PLANETS, {"in_universe": universe})]


def planet_of(db: Database, universe: int, planet: int) -> PlanetState:
    """One planet of the crew's.

    Raises:
        Rejected: `unknown_planet`.
    """
    row = db.execute(_PLANET, {"in_universe": universe, "of_planet": planet}).one_or_none()
    if row is None:
        raise starwire.Rejected("unknown_planet", "No planet of yours goes by that number.")
    return _planet(row)


def home_of(db: Database, universe: int) -> PlanetState:
    """The planet where it all began."""
    return planet_of(db, universe, HOME_PLANET)


def _planet(row: Any) -> PlanetState:
    return PlanetState(
        universe=row.universe,
        planet=row.planet,
        star=row.star,
        name=row.name,
        stock=Stock(row.metal, row.crystal, row.at),
        levels={structure: getattr(row, structure.value) for structure in Structure},
    )


def orders_of(db: Database, universe: int, planet: int | None = None) -> list[Order]:
    """The queue of a planet, or all queues of the universe, each in its order."""
    rows = (
        db.execute(_ORDERS, {"in_universe": universe})
        if planet is None
        else db.execute(_PLANETS_ORDERS, {"in_universe": universe, "of_planet": planet})
    )
    return [
        Order(
            construction=row.construction,
            planet=row.planet,
            player=row.player,
            structure=Structure(row.structure),
            level=row.level,
            price=Price(row.metal, row.crystal),
            seconds=row.seconds,
            process=row.process,
        )
        for row in rows
    ]


def require(universe: UniverseState, planet: PlanetState, price: Price, what: str) -> None:
    """See that the planet can pay for `what` now.

    Raises:
        Rejected: `not_enough_metal` or `not_enough_crystal`, with what is needed, what is there, and when
            there will be enough.
    """
    stock = planet.stock
    for resource, need, have in (
        ("metal", price.metal, stock.metal),
        ("crystal", price.crystal, stock.crystal),
    ):
        if have >= need:
            continue
        seconds = stock.seconds_until(price, planet.levels)
        hope = (
            "Only a larger storehouse will ever hold that much."
            if seconds is None
            else f"At this rate there will be enough {words.when(seconds / universe.pace)}."
        )
        sentence = f"{words.sentence(what)} needs {need:,} {resource}; you have {int(have):,}. {hope}"
        raise starwire.Rejected(f"not_enough_{resource}", sentence, need=need, have=int(have))


# ----------------------------------------------------------------------------------------------- to the rows


_SAVE_PLANET = (
    update(planets)
    .where(planets.c.universe == _IN_UNIVERSE, planets.c.planet == bindparam("of_planet"))
    .values({name: bindparam(f"to_{name}") for name in ("metal", "crystal", "at", *Structure)})
)


def save_planet(db: Database, planet: PlanetState) -> None:
    """Keep a planet's stock and levels."""
    values = {
        "in_universe": planet.universe,
        "of_planet": planet.planet,
        "to_metal": planet.stock.metal,
        "to_crystal": planet.stock.crystal,
        "to_at": planet.stock.at,
    }
    db.execute(_SAVE_PLANET, values | {f"to_{structure}": n for structure, n in planet.levels.items()})


def save_universe(db: Database, universe: UniverseState, **values: Any) -> UniverseState:
    """Keep these values of a universe's row, and give it back with them."""
    db.execute(update(universes).where(universes.c.id == universe.id).values(**values))
    return replace(universe, **values)


# ----------------------------------------------------------------------------------------------- to the wire


def queue(
    orders: Sequence[Order], pace: int, live: Iterable[starwire.ProcessInfo]
) -> list[wire.Construction]:
    """A planet's orders as the wire has them, with their positions and real durations.

    `live` are the universe's processes: they say when the first in the queue began and is due.
    """
    by_id = {process.id: process for process in live}
    return [
        _construction(order, position, pace, by_id.get(order.process or 0))
        for position, order in enumerate(orders)
    ]


def _construction(
    order: Order, position: int, pace: int, process: starwire.ProcessInfo | None
) -> wire.Construction:
    return wire.Construction(
        construction=order.construction,
        structure=order.structure,
        level=order.level,
        position=position,
        seconds=order.seconds / pace,
        started_at=None if process is None else process.started_at,
        due_at=None if process is None else process.due_at,
        process=None if process is None else process.id,
        cost=amount(order.price),
    )


def amount(price: Price) -> wire.Amount:
    """A price as the wire has it."""
    return wire.Amount(price.metal, price.crystal)


def star(row: Any) -> wire.Star:
    """A row of `stars` as the wire has it."""
    return wire.Star(
        star=row.star,
        name=row.name,
        x=row.x,
        y=row.y,
        magnitude=row.magnitude,
        home=row.star == sky.HOME,
        probed=row.probed_at is not None,
        planets=row.planets,
        note=row.note,
    )
