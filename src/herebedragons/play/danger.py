"""Dragons: the secret wait, the sighting, 25 hours of warning, and the visit.

    sighting ──(seen)──> dragons ──(25 hours)──> repelled or raided ──(days)──> sighting …

One of the two processes lives at any time, unless nobody has given an order for so many visits that the
dragons have lost interest; the next order brings them back.
"""

from __future__ import annotations

import starwire
from herebedragons import events, rules, words
from herebedragons.commands import universe_key
from herebedragons.processes import Dragons, Sighting
from herebedragons.rules import Structure
from herebedragons.universe import (
    PlanetState,
    UniverseState,
    amount,
    home_of,
    members_universe,
    save_planet,
    save_universe,
    universe_of,
)

danger = starwire.Module("danger")


def enter(tx: starwire.Transaction, universe: int, player: str) -> UniverseState:
    """The universe that a member's command is about. Dragons that had lost interest notice the sign of life.

    Raises:
        Rejected: `not_a_member`.
    """
    state = members_universe(tx.db, universe, player)
    if state.quiet_visits == 0:
        return state
    if state.quiet_visits >= rules.QUIET_VISITS:
        await_dragons(tx, state, tx.random.uniform(*rules.SIGHTING_AFTER_SECONDS))
    return save_universe(tx.db, state, quiet_visits=0)


def await_dragons(tx: starwire.Transaction, universe: UniverseState, seconds: float) -> None:
    """Dragons will be sighted after so many game seconds. Nobody is told."""
    due = rules.real(seconds, universe.pace)
    tx.start(Sighting(universe.id), due=due, key=universe_key(universe.id), stream=None)


@danger.process
def sighting(tx: starwire.Transaction, job: Sighting) -> None:
    """Somebody looks up. From here on everybody counts down."""
    universe = universe_of(tx.db, job.universe)
    visit = universe.visits + 1
    save_universe(tx.db, universe, visits=visit)
    strength = rules.dragon_strength(visit)
    warning = rules.real(rules.WARNING_SECONDS, universe.pace)
    started = tx.start(Dragons(universe.id, strength), due=warning, stream=universe.stream)
    tx.publish(
        universe.stream,
        events.DragonsInbound(started.due_at, strength, started.process),
        message=f"Space dragons are inbound {words.when(warning.total_seconds())}.",
    )


@danger.process
def dragons(tx: starwire.Transaction, job: Dragons) -> None:
    """They are here. The shield decides."""
    universe = universe_of(tx.db, job.universe)
    home = home_of(tx.db, universe.id).at(tx.now, universe.pace)
    if rules.repels(home.levels[Structure.SHIELD], job.strength):
        _repelled(tx, universe, home, job.strength)
    else:
        _raided(tx, universe, home, job.strength)
    quiet = universe.quiet_visits + 1
    save_universe(tx.db, universe, quiet_visits=quiet)
    if quiet < rules.QUIET_VISITS:
        await_dragons(tx, universe, tx.random.uniform(*rules.SIGHTING_AFTER_SECONDS))


def _repelled(tx: starwire.Transaction, universe: UniverseState, home: PlanetState, strength: int) -> None:
    power = rules.shield_power(home.levels[Structure.SHIELD])
    event = events.DragonsRepelled(home.planet, strength, power, home.resources(universe.pace))
    message = f"The dragons met the shield over {home.name} and left in a poor temper."
    tx.publish(universe.stream, event, message=message)


def _raided(tx: starwire.Transaction, universe: UniverseState, home: PlanetState, strength: int) -> None:
    home, lost = home.raided()
    save_planet(tx.db, home)
    level = home.levels[Structure.SHIELD]
    power = rules.shield_power(level)
    event = events.DragonsRaided(home.planet, strength, power, amount(lost), home.resources(universe.pace))
    how = (
        f"went through the shield over {home.name} like a moth through lace"
        if level
        else f"came to {home.name}"
    )
    took = f"carried off {words.amount(lost)}" if any(lost) else "found nothing worth the flight"
    tx.publish(universe.stream, event, message=f"The dragons {how} and {took}.")
