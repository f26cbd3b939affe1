"""Observatories discover stars, probes visit them.

An observatory looks as long as something in its reach is undiscovered: one survey after the other, each a
process. A probe is paid, travels, and reports; each star is visited once.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sqlalchemy import select, update

import starwire
from herebedragons import events, rules, sky, words
from herebedragons.commands import ProbeSent, SendProbe
from herebedragons.play.danger import enter
from herebedragons.processes import Probe, Survey
from herebedragons.rules import Structure
from herebedragons.store import stars
from herebedragons.universe import (
    PlanetState,
    UniverseState,
    home_of,
    planet_of,
    require,
    save_planet,
    star,
    universe_of,
)
from herebedragons.wire import Probe as Travelling

exploring = starwire.Module("exploring")


def look_at_the_sky(tx: starwire.Transaction, universe: UniverseState, planet: PlanetState) -> None:
    """Begin a survey, unless the observatory is busy or has seen all it can."""
    if any(survey.data.planet == planet.planet for survey in tx.processes(Survey)):
        return
    level = planet.levels[Structure.OBSERVATORY]
    if _in_reach(tx, universe, planet, level):
        tx.start(
            Survey(universe.id, planet.planet, level),
            due=rules.real(sky.SURVEY_SECONDS, universe.pace),
            stream=universe.stream,
        )


@exploring.process
def survey(tx: starwire.Transaction, job: Survey) -> None:
    """A survey is complete: new stars are on the map, and the next one begins."""
    universe = universe_of(tx.db, job.universe)
    planet = planet_of(tx.db, universe.id, job.planet)
    found = _in_reach(tx, universe, planet, job.level)
    if found:
        numbers = [row.star for row in found]
        mine = (stars.c.universe == universe.id, stars.c.star.in_(numbers))
        tx.db.execute(update(stars).where(*mine).values(discovered_at=tx.now))
        new = "A new star was" if len(found) == 1 else "New stars were"
        tx.publish(
            universe.stream,
            events.StarsDiscovered([star(row) for row in found]),
            message=f"{new} discovered: {words.listing([row.name for row in found])}.",
        )
    look_at_the_sky(tx, universe, planet)


def _in_reach(
    tx: starwire.Transaction, universe: UniverseState, planet: PlanetState, level: int
) -> list[Any]:
    """What a survey at this level would discover now."""
    rows = tx.db.execute(select(stars).where(stars.c.universe == universe.id)).all()
    here = next(row for row in rows if row.star == planet.star)
    return sky.survey(level, [row for row in rows if row.discovered_at is None], here)


@exploring.command
def send_probe(tx: starwire.Transaction, player: str, order: SendProbe) -> ProbeSent:
    """Send a probe from home to a star that is on the map and has not been visited."""
    universe = enter(tx, order.universe, player)
    home = home_of(tx.db, universe.id).at(tx.now, universe.pace)
    here, there = _route(tx, universe, home, order.star)
    _free_to_go(tx, universe, home, there)

    home = replace(home, stock=home.stock.minus(sky.PROBE_PRICE))
    save_planet(tx.db, home)
    travel = rules.real(sky.probe_seconds(sky.distance(here, there)), universe.pace)
    started = tx.start(
        Probe(universe.id, home.planet, order.star), due=travel, owner=player, stream=universe.stream
    )
    probe = Travelling(order.star, started.process, home.star, started.started_at, started.due_at)
    tx.publish(
        universe.stream,
        events.ProbeSent(home.planet, order.star, probe, home.resources(universe.pace)),
        message=(
            f"A probe has left {home.name} for {there.name}; it arrives {words.when(travel.total_seconds())}."
        ),
    )
    return ProbeSent(started.process, started.due_at)


@exploring.process
def probe(tx: starwire.Transaction, job: Probe) -> None:
    """A probe has arrived: what it sends home is in store at once, for the way back is not its concern."""
    universe = universe_of(tx.db, job.universe)
    planet = planet_of(tx.db, universe.id, job.planet)
    here, there = _route(tx, universe, planet, job.star)
    finding = sky.finding(universe.seed, there, there.planets, sky.distance(here, there))
    planet = planet.at(tx.now, universe.pace)
    planet = replace(planet, stock=planet.stock.plus(finding.haul))
    save_planet(tx.db, planet)
    visited = (
        update(stars)
        .where(stars.c.universe == universe.id, stars.c.star == job.star)
        .values(probed_at=tx.now, note=finding.note)
        .returning(stars)
    )
    arrived = star(tx.db.execute(visited).one())
    tx.publish(
        universe.stream,
        events.ProbeArrived(planet.planet, arrived, finding.found, planet.resources(universe.pace)),
        message=f"The probe has reached {arrived.name}. {finding.found}",
    )


def _route(
    tx: starwire.Transaction, universe: UniverseState, planet: PlanetState, to: int
) -> tuple[Any, Any]:
    """The rows of the planet's star and of the one to go to.

    Raises:
        Rejected: `not_discovered`, also for numbers that no star has: the unknown keeps its secrets.
    """
    query = select(stars).where(
        stars.c.universe == universe.id,
        stars.c.star.in_([planet.star, to]),
        stars.c.discovered_at.is_not(None),
    )
    rows = {row.star: row for row in tx.db.execute(query)}
    if to not in rows:
        raise starwire.Rejected("not_discovered", "That star is not on your chart yet.")
    return rows[planet.star], rows[to]


def _free_to_go(tx: starwire.Transaction, universe: UniverseState, home: PlanetState, there: Any) -> None:
    """Whether a probe to this star may leave now."""
    if there.star == home.star:
        raise starwire.Rejected("already_probed", f"{there.name} is home. A window will do.")
    if there.probed_at is not None:
        raise starwire.Rejected("already_probed", f"A probe has been to {there.name} already.")
    if any(probe.data.star == there.star for probe in tx.processes(Probe)):
        raise starwire.Rejected("probe_under_way", f"A probe is on its way to {there.name} already.")
    if home.levels[Structure.OBSERVATORY] == 0:
        raise starwire.Rejected(
            "needs_observatory", "A probe needs an observatory to steer by.", structure=Structure.OBSERVATORY
        )
    require(universe, home, sky.PROBE_PRICE, "a probe")
