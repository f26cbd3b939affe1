"""What the game's tests share: a universe to play in, and the few questions that every story asks of it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from herebedragons.app import app
from starwire.protocol import ErrorBody
from starwire.testing import CommandFailed, Player, Push, World

PLANET = 1


@dataclass
class Story:
    """One universe on a world of its own, and the player who created it."""

    world: World
    ann: Player
    universe: int

    def order(self, command: str, *, by: Player | None = None, **args: Any) -> Any:
        """A command in this universe, of Ann's unless it is another's."""
        return (by or self.ann).command(command, universe=self.universe, **args)

    def build(self, structure: str, *, by: Player | None = None) -> Any:
        return self.order("build", by=by, planet=PLANET, structure=structure)

    def cancel(self, construction: int) -> Any:
        return self.order("cancel_construction", construction=construction)

    def probe(self, star: int) -> Any:
        return self.order("send_probe", star=star)

    def outage(self, *, minutes: float) -> None:
        """No server for a while; then everybody is back, and asks for what they missed."""
        self.world.sleep(minutes=minutes)
        for player in self.world.players:
            player.hello(resume=player.offsets)

    def chart(self, player: Player | None = None) -> Any:
        return (player or self.ann).view("universe", universe=self.universe)

    def planet(self) -> Any:
        return self.chart()["planets"][0]

    def resources(self) -> tuple[float, float]:
        stock = self.planet()["resources"]
        return stock["metal"], stock["crystal"]

    def queue(self) -> list[tuple[str, int, int]]:
        return [(each["structure"], each["level"], each["position"]) for each in self.planet()["queue"]]

    def invite(self, name: str) -> Player:
        """Another player, invited and joined."""
        other = self.world.connect(name)
        code = self.order("invite")["invitation"]
        assert other.command("join", invitation=code) == {"universe": self.universe}
        return other

    def first_session(self) -> None:
        """Both mines and an observatory: what a newcomer builds in the first hour."""
        for structure in ("metal_mine", "crystal_mine", "observatory"):
            self.build(structure)
        self.world.advance(hours=1)


@contextmanager
def story(*, pace: int = 1, name: str = "Arda", seed: int = 7) -> Iterator[Story]:
    with World(app, seed=seed) as world:
        ann = world.connect("ann")
        universe = ann.command("create_universe", name=name, pace=pace)["universe"]
        yield Story(world, ann, universe)


def moment(text: Any) -> datetime:
    """A time of the wire."""
    found = text if isinstance(text, datetime) else datetime.fromisoformat(text)
    return found.astimezone(UTC)


def after(text: Any, **span: float) -> datetime:
    return moment(text) + timedelta(**span)


def names(player: Player, *events: str) -> list[str]:
    """The names of what a player has received, of these events only."""
    return [push.event for push in player.received() if push.event in events]


def completions(player: Player) -> list[tuple[str, int, datetime]]:
    return [
        (push.data["structure"], push.data["level"], moment(push.at))
        for push in player.received("construction_complete")
    ]


def refused(command: Callable[[], object]) -> ErrorBody:
    """The error with which a command is refused."""
    with pytest.raises(CommandFailed) as failed:
        command()
    return failed.value.error


def sentence(push: Push) -> str:
    """The sentence for people that an event carries."""
    assert push.message is not None, f"{push.event} says nothing"
    return push.message
