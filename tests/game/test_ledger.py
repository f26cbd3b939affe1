"""Resources add up, whatever players do and however long the servers were down.

A ledger kept beside the game, from replies and events alone: what there was, what grew at the rates that
held, less what was paid and lost, plus what came back and was found, is what there is.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from herebedragons import rules, sky
from herebedragons.rules import START, Price, Structure
from starwire.testing import CommandFailed
from tests.game.story import Story, moment, story

acts = st.lists(
    st.one_of(
        st.tuples(st.just("build"), st.sampled_from([structure.value for structure in Structure])),
        st.tuples(st.just("cancel"), st.integers(0, 4)),
        st.tuples(st.just("probe"), st.integers(1, 6)),
        st.tuples(st.just("wait"), st.sampled_from([1, 7, 60, 600, 2000])),
        st.tuples(st.just("outage"), st.sampled_from([30, 3000])),
    ),
    max_size=30,
)


@dataclass
class Ledger:
    """A planet's books, written from what a player is told."""

    pace: int
    at: datetime
    stock: list[float] = field(default_factory=lambda: [float(START.metal), float(START.crystal)])
    levels: dict[Structure, int] = field(default_factory=dict)
    read: int = 0

    def grow(self, now: datetime) -> None:
        """Minute by minute would do; the rates are constant between entries, so one step is enough."""
        hours = (now - self.at).total_seconds() / 3600 * self.pace
        cap = rules.capacity(self.levels.get(Structure.STOREHOUSE, 0))
        rates = (
            rules.metal_per_hour(self.levels.get(Structure.METAL_MINE, 0)),
            rules.crystal_per_hour(self.levels.get(Structure.CRYSTAL_MINE, 0)),
        )
        for index, rate in enumerate(rates):
            self.stock[index] = max(self.stock[index], min(cap, self.stock[index] + rate * hours))
        self.at = now

    def enter(self, metal: float, crystal: float) -> None:
        self.stock = [self.stock[0] + metal, self.stock[1] + crystal]
        assert min(self.stock) >= -1e-6, "nothing is ever owed"

    def follow(self, arda: Story) -> None:
        """Enter what happened since the last look, at the times at which it happened."""
        told = arda.ann.received()
        for push in told[self.read :]:
            self._follow(push)
        self.read = len(told)

    def _follow(self, push: Any) -> None:
        if push.stream.startswith("player:"):
            return
        self.grow(moment(push.at))
        data = push.data
        match push.event:
            case "construction_complete":
                structure = Structure(data["structure"])
                assert data["level"] == self.levels.get(structure, 0) + 1, (
                    "levels are built one after another"
                )
                self.levels[structure] = data["level"]
            case "construction_queued":
                cost = data["construction"]["cost"]
                self.enter(-cost["metal"], -cost["crystal"])
            case "probe_sent":
                self.enter(-sky.PROBE_PRICE.metal, -sky.PROBE_PRICE.crystal)
            case "probe_arrived":
                self.enter(*_haul(data["found"]))
            case "dragons_raided":
                self.enter(-data["lost"]["metal"], -data["lost"]["crystal"])
            case _:
                pass


def _haul(found: str) -> Price:
    """What a report says was sent home."""
    _, _, sent = found.partition("Sent home: ")
    amounts = {"metal": 0, "crystal": 0}
    for part in sent.rstrip(".").split(" and "):
        if part:
            number, resource = part.split(" ")
            amounts[resource] = int(number.replace(",", ""))
    return Price(amounts["metal"], amounts["crystal"])


def act(arda: Story, ledger: Ledger, what: str, with_: Any) -> None:
    """Do one thing, and enter what its reply says; refusals are part of the game."""
    if what == "wait":
        arda.world.advance(minutes=with_)
    elif what == "outage":
        arda.outage(minutes=with_)
    elif what == "build":
        arda.build(with_)
    elif what == "probe":
        arda.probe(with_)
    else:
        queue = arda.planet()["queue"]
        if with_ < len(queue):
            refund = arda.cancel(queue[with_]["construction"])["refund"]
            ledger.follow(arda)
            ledger.enter(refund["metal"], refund["crystal"])


def _expect_rejection(refusal: CommandFailed) -> None:
    assert refusal.error.code == "rejected", refusal


@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(acts, st.sampled_from([1, 60]), st.booleans())
def test_resources_add_up_over_any_game(script: list[tuple[str, Any]], pace: int, settled: bool) -> None:
    with story(pace=pace) as arda:
        ledger = Ledger(pace, moment(arda.chart()["created_at"]))
        if settled:
            arda.first_session()
            arda.world.advance(hours=6)
            ledger.follow(arda)
        for what, with_ in script:
            try:
                act(arda, ledger, what, with_)
            except CommandFailed as refusal:
                _expect_rejection(refusal)
            ledger.follow(arda)
            resources = arda.planet()["resources"]
            ledger.grow(moment(resources["at"]))
            assert (resources["metal"], resources["crystal"]) == pytest.approx(tuple(ledger.stock), abs=1e-4)
        assert arda.planet()["structures"] == {
            structure.value: ledger.levels.get(structure, 0) for structure in Structure
        }


@settings(max_examples=15, suppress_health_check=[HealthCheck.too_slow])
@given(acts)
def test_an_outage_changes_nothing_but_when_people_are_told(script: list[tuple[str, Any]]) -> None:
    """The same game, once with the servers up and once with them down during every wait."""
    charts, told = [], []
    for jump in (False, True):
        with story() as arda:
            ledger = Ledger(1, moment(arda.chart()["created_at"]))
            for what, with_ in script:
                down = "outage" if jump else "wait"
                try:
                    act(arda, ledger, down if what in ("wait", "outage") else what, with_)
                except CommandFailed as refusal:
                    _expect_rejection(refusal)
            charts.append(arda.chart())
            told.append([(push.event, push.at, push.message) for push in arda.ann.received()])
    assert charts[0] == charts[1]
    assert told[0] == told[1]
