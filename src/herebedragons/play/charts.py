"""What players look at. A fixed number of statements, however much there is to see."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from sqlalchemy import bindparam, func, select

import starwire
from herebedragons import rules, sky, words
from herebedragons.commands import universe_key
from herebedragons.processes import Dragons, Probe
from herebedragons.rules import Structure
from herebedragons.store import members, universes
from herebedragons.universe import (
    CHARTED,
    Order,
    PlanetState,
    members_universe,
    orders_of,
    planets_of,
    queue,
    star,
)
from herebedragons.views import (
    Chart,
    Map,
    Underway,
    Universe,
    UniverseList,
    Universes,
    UniverseSummary,
)
from herebedragons.wire import Dragons as Inbound
from herebedragons.wire import Member, Offer, Planet, Shield
from herebedragons.wire import Probe as Travelling

charts = starwire.Module("charts")


_CREW = members.alias()

_UNIVERSES = (
    select(
        universes.c.id,
        universes.c.name,
        universes.c.pace,
        select(func.count()).where(_CREW.c.universe == universes.c.id).scalar_subquery(),
        universes.c.created_at,
    )
    .join(members, members.c.universe == universes.c.id)
    .where(members.c.player == bindparam("of_player"))
    .order_by(universes.c.id)
)

_MEMBERS = (
    select(members.c.player, members.c.name)
    .where(members.c.universe == bindparam("in_universe"))
    .order_by(members.c.joined_at, members.c.player)
)


@charts.view
def universes_of_player(read: starwire.Read, player: str, ask: Universes) -> UniverseList:
    """The player's universes, oldest first."""
    read.position(f"player:{player}")
    return UniverseList([UniverseSummary(*row) for row in read.db.execute(_UNIVERSES, {"of_player": player})])


@charts.view
def universe(read: starwire.Read, player: str, ask: Universe) -> Chart:
    """All that a member sees of a universe."""
    stream = universe_key(ask.universe)
    read.position(stream)
    state = members_universe(read.db, ask.universe, player)
    here = {"in_universe": state.id}
    live = [process for process in read.processes(stream) if process.data and process.data.public]
    homes = [planet.at(read.now, state.pace) for planet in planets_of(read.db, state.id)]
    orders = orders_of(read.db, state.id)
    shield = homes[0].levels[Structure.SHIELD]
    return Chart(
        universe=state.id,
        name=state.name,
        pace=state.pace,
        created_at=state.created_at,
        map=Map(sky.RADIUS),
        members=[Member(*row) for row in read.db.execute(_MEMBERS, here)],
        planets=[
            _planet(planet, [order for order in orders if order.planet == planet.planet], state.pace, live)
            for planet in homes
        ],
        stars=[star(row) for row in read.db.execute(CHARTED, here)],
        probes=[_travelling(process, homes) for process in live if isinstance(process.data, Probe)],
        processes=[_underway(process) for process in live],
        dragons=next((_inbound(process) for process in live if isinstance(process.data, Dragons)), None),
        shield=Shield(shield, rules.shield_power(shield)),
    )


def _planet(
    planet: PlanetState, orders: Sequence[Order], pace: int, live: Sequence[starwire.ProcessInfo]
) -> Planet:
    return Planet(
        planet=planet.planet,
        name=planet.name,
        star=planet.star,
        resources=planet.resources(pace),
        structures=planet.levels,
        offers=_offers(planet, orders, pace),
        queue=queue(orders, pace, live),
    )


def _offers(planet: PlanetState, orders: Sequence[Order], pace: int) -> list[Offer]:
    """What could be ordered next, behind all that is queued; nothing for what is as high as it goes."""
    planned = rules.with_queue(planet.levels, [order.structure for order in orders])
    offers = []
    for structure in Structure:
        level = planned[structure] + 1
        if level > rules.MAX_LEVEL:
            continue
        price = rules.cost(structure, level)
        missing = rules.missing_need(structure, planned)
        offers.append(
            Offer(
                structure=structure,
                level=level,
                metal=price.metal,
                crystal=price.crystal,
                seconds=rules.build_seconds(structure, level) / pace,
                unlocked=missing is None,
                needs=None if missing is None else words.a_structure(*missing),
            )
        )
    return offers


def _travelling(process: starwire.ProcessInfo, planets: Sequence[PlanetState]) -> Travelling:
    probe = process.data
    start = next(planet.star for planet in planets if planet.planet == probe.planet)
    return Travelling(probe.star, process.id, start, process.started_at, process.due_at)


def _inbound(process: starwire.ProcessInfo) -> Inbound:
    return Inbound(process.due_at, process.data.strength, process.id)


def _underway(process: starwire.ProcessInfo) -> Underway:
    fields = msgspec.to_builtins(process.data)
    public = {name: fields[name] for name in process.data.public}
    return Underway(process.id, process.kind, process.started_at, process.due_at, public)
