"""Universes come to be, people are invited to them and join."""

from __future__ import annotations

import hmac
from dataclasses import asdict

from sqlalchemy import delete, func, insert, select, update

import starwire
from herebedragons import events, rules, sky
from herebedragons.commands import (
    CreateUniverse,
    Invitation,
    Invite,
    Join,
    Leave,
    RenamePlanet,
    UniverseEntered,
    invited_to,
    universe_key,
)
from herebedragons.play.danger import await_dragons, enter
from herebedragons.rules import Structure
from herebedragons.store import members, planets, stars, universes
from herebedragons.universe import HOME_PLANET, UniverseState, planet_of, universe_of
from herebedragons.wire import Nothing

crew = starwire.Module("crew")

_CODE_LETTERS = "23456789abcdefghjkmnpqrstuvwxyz"
_CODE_LENGTH = 16
"""16 of 31 letters are 79 bits: nobody guesses one. Letters that look alike are left out."""


@crew.command
def create_universe(tx: starwire.Transaction, player: str, order: CreateUniverse) -> UniverseEntered:
    """A new universe: a map, a planet to live on, and, before long, dragons."""
    name = _a_name(order.name)
    _room_for_one_more(tx, player)
    universe = _new_universe(tx, name, order)
    _add_member(tx, universe, player)
    _fill_sky(tx, universe)
    await_dragons(tx, universe, rules.FIRST_SIGHTING_SECONDS)
    tx.publish(
        universe.stream,
        events.UniverseCreated(name, universe.pace),
        message=f"{name} begins. Beyond the hearth-light the chart is blank.",
    )
    return UniverseEntered(universe.id)


@crew.command
def invite(tx: starwire.Transaction, player: str, order: Invite) -> Invitation:
    """The code with which others can join; made when it is first asked for."""
    universe = enter(tx, order.universe, player)
    code = universe.invitation
    if code is None or order.renew:
        code = f"{universe.id}-{''.join(tx.random.choices(_CODE_LETTERS, k=_CODE_LENGTH))}"
        tx.db.execute(update(universes).where(universes.c.id == universe.id).values(invitation=code))
    return Invitation(code)


@crew.command
def join(tx: starwire.Transaction, player: str, order: Join) -> UniverseEntered:
    """Become one of the crew. Whoever is one already just enters."""
    universe = _invited(tx, order.invitation.strip())
    aboard = select(members.c.player).where(members.c.universe == universe.id)
    crew_of = set(tx.db.scalars(aboard))
    if player in crew_of:
        return UniverseEntered(universe.id)
    if len(crew_of) >= rules.MEMBERS_PER_UNIVERSE:
        raise starwire.Rejected(
            "universe_full",
            f"{universe.name} has a full crew of {len(crew_of)}.",
            limit=rules.MEMBERS_PER_UNIVERSE,
        )
    _room_for_one_more(tx, player)
    _add_member(tx, universe, player)
    return UniverseEntered(universe.id)


@crew.command
def leave(tx: starwire.Transaction, player: str, order: Leave) -> Nothing:
    """Leave the crew. When nobody is left, dragons lose interest, and then nothing happens there any more."""
    universe = enter(tx, order.universe, player)
    me = (members.c.universe == universe.id, members.c.player == player)
    name = tx.db.scalar(select(members.c.name).where(*me))
    tx.db.execute(delete(members).where(*me))
    message = f"{name} has left the crew of {universe.name}."
    tx.publish(universe.stream, events.MemberLeft(player, name), message=message)
    tx.publish(f"player:{player}", events.UniverseClosed(universe.id))
    tx.unsubscribe(player, universe.stream)
    return Nothing()


@crew.command
def rename_planet(tx: starwire.Transaction, player: str, order: RenamePlanet) -> Nothing:
    """Call a planet something else."""
    universe = enter(tx, order.universe, player)
    planet = planet_of(tx.db, universe.id, order.planet)
    name = _a_name(order.name)
    if name != planet.name:
        mine = (planets.c.universe == universe.id, planets.c.planet == planet.planet)
        tx.db.execute(update(planets).where(*mine).values(name=name))
        tx.publish(
            universe.stream,
            events.PlanetRenamed(planet.planet, name),
            message=f"{planet.name} is called {name} from now on. The charts have been corrected.",
        )
    return Nothing()


def _a_name(text: str) -> str:
    name = rules.clean_name(text)
    if name is None:
        raise starwire.Rejected(
            "bad_name",
            f"A name has 1 to {rules.NAME_LENGTH} characters, all of which can be seen.",
            limit=rules.NAME_LENGTH,
        )
    return name


def _room_for_one_more(tx: starwire.Transaction, player: str) -> None:
    """Joins of one player in several universes at the same moment may go over this by a few: it guards our
    disk, not fairness.
    """
    count = select(func.count()).select_from(members).where(members.c.player == player)
    if tx.db.scalar(count) >= rules.UNIVERSES_PER_PLAYER:
        raise starwire.Rejected(
            "too_many_universes",
            f"You are in {rules.UNIVERSES_PER_PLAYER} universes already; nobody can be in more.",
            limit=rules.UNIVERSES_PER_PLAYER,
        )


def _invited(tx: starwire.Transaction, invitation: str) -> UniverseState:
    number = invited_to(invitation)
    code = number and tx.db.scalar(select(universes.c.invitation).where(universes.c.id == number))
    if not number or not code or not hmac.compare_digest(code.encode(), invitation.encode()):
        raise starwire.Rejected(
            "invitation_unknown", "This invitation opens nothing. It may have been renewed; ask for another."
        )
    return universe_of(tx.db, number)


def _new_universe(tx: starwire.Transaction, name: str, order: CreateUniverse) -> UniverseState:
    seed = tx.random.getrandbits(62)
    row = {
        "name": name,
        "pace": order.pace,
        "seed": seed,
        "created_at": tx.now,
        "orders": 0,
        "visits": 0,
        "quiet_visits": 0,
    }
    number = tx.db.scalar(insert(universes).values(row).returning(universes.c.id))
    return universe_of(tx.db, number)


def _fill_sky(tx: starwire.Transaction, universe: UniverseState) -> None:
    """All its stars, of which only home is known, and the home planet."""
    field = sky.field(universe.seed)
    rows = [
        {"universe": universe.id, "discovered_at": None, "probed_at": None, "note": None, **asdict(star)}
        for star in field
    ]
    rows[sky.HOME].update(discovered_at=tx.now, probed_at=tx.now, note=sky.HOME_NOTE)
    tx.db.execute(insert(stars), rows)
    levels = dict.fromkeys((structure.value for structure in Structure), 0)
    planet = {
        "universe": universe.id,
        "planet": HOME_PLANET,
        "star": sky.HOME,
        "name": sky.home_world(universe.seed),
        "metal": rules.START.metal,
        "crystal": rules.START.crystal,
        "at": tx.now,
        **levels,
    }
    tx.db.execute(insert(planets).values(planet))


def _add_member(tx: starwire.Transaction, universe: UniverseState, player: str) -> None:
    """Enter a player in the roll and let them hear the universe; tell the others, and their other tabs."""
    given = rules.clean_name(tx.identity.name) if tx.identity else None
    name = given or rules.clean_name(f"Player {player}"[: rules.NAME_LENGTH]) or "A stranger"
    row = {"universe": universe.id, "player": player, "name": name, "joined_at": tx.now}
    first = tx.db.scalar(select(members.c.player).where(members.c.universe == universe.id).limit(1)) is None
    tx.db.execute(insert(members).values(row))
    tx.subscribe(player, universe_key(universe.id))
    tx.publish(f"player:{player}", events.UniverseOpened(universe.id, universe.name, universe.pace))
    if not first:
        message = f"{name} has joined the crew of {universe.name}."
        tx.publish(universe.stream, events.MemberJoined(player, name), message=message)
