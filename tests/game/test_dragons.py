"""Dragons are sighted, announced 25 hours ahead, arrive, and the shield decides."""

import pytest

from herebedragons import rules
from tests.game.story import Story, after, moment, names, refused, sentence, story


def test_dragons_are_inbound_in_25_hours_early_in_a_universes_life() -> None:
    with story() as arda:
        bo = arda.invite("bo")
        begun = arda.chart()["created_at"]
        arda.world.advance(minutes=9, seconds=59)
        assert arda.ann.received("dragons_inbound") == []
        arda.world.advance(seconds=1)
        (inbound,) = arda.ann.received("dragons_inbound")
        for player in (arda.ann, bo):
            (inbound,) = player.received("dragons_inbound")
            assert inbound.message == "Space dragons are inbound in 25 hours."
            assert moment(inbound.at) == after(begun, minutes=10)
            assert moment(inbound.data["arrives_at"]) == after(begun, minutes=10, hours=25)
            assert inbound.data["strength"] == 10
        assert arda.chart()["dragons"] == {
            "arrives_at": arda.chart()["processes"][0]["due_at"],
            "strength": 10,
            "process": inbound.data["process"],
        }
        (started,) = arda.ann.received("process_started")
        assert (started.data["kind"], started.data["data"]) == ("dragons", {"strength": 10})


@pytest.mark.parametrize(("pace", "said"), [(60, "in 25 minutes"), (3600, "in 25 seconds")])
def test_the_warning_states_real_time(pace: int, said: str) -> None:
    with story(pace=pace) as arda:
        arda.world.advance(seconds=601 / pace)
        (inbound,) = arda.ann.received("dragons_inbound")
        assert inbound.message == f"Space dragons are inbound {said}."


def test_without_a_shield_dragons_take_half_of_everything() -> None:
    with story() as arda:
        arda.world.advance(hours=25, minutes=10)
        (raid,) = arda.ann.received("dragons_raided")
        hours = 25 + 1 / 6
        metal, crystal = 300 + 20 * hours, 150 + 10 * hours
        assert raid.data["lost"] == {"metal": int(metal // 2), "crystal": int(crystal // 2)}
        assert (raid.data["strength"], raid.data["shield"]) == (10, 0)
        assert raid.data["resources"]["metal"] == pytest.approx(metal - metal // 2)
        assert arda.resources()[1] == pytest.approx(crystal - crystal // 2)
        planet = arda.planet()["name"]
        assert raid.message == f"The dragons came to {planet} and carried off 401 metal and 200 crystal."
        assert arda.chart()["dragons"] is None


def test_with_a_shield_the_first_dragons_leave_hungry() -> None:
    with story() as arda:
        arda.first_session()
        arda.world.advance(hours=6)
        arda.build("shield")
        arda.world.advance(hours=19)
        assert arda.ann.received("dragons_raided") == []
        (repelled,) = arda.ann.received("dragons_repelled")
        assert (repelled.data["strength"], repelled.data["shield"]) == (10, 12)
        assert repelled.message == (
            f"The dragons met the shield over {arda.planet()['name']} and left in a poor temper."
        )
        assert arda.chart()["shield"] == {"level": 1, "power": 12}


def test_dragons_return_stronger_some_days_later_and_a_small_shield_no_longer_helps() -> None:
    with story() as arda:
        arda.first_session()
        arda.world.advance(hours=6)
        arda.build("shield")
        while not arda.ann.received("dragons_raided"):
            arda.world.advance(hours=1)
        first, second = arda.ann.received("dragons_inbound")
        assert (first.data["strength"], second.data["strength"]) == (10, 26)
        between = moment(second.at) - moment(first.data["arrives_at"])
        assert 2 <= between.total_seconds() / 86_400 <= 4
        (raid,) = arda.ann.received("dragons_raided")
        assert moment(raid.at) == moment(second.data["arrives_at"])
        assert "like a moth through lace" in sentence(raid)


def test_a_raid_sets_back_nothing_but_resources() -> None:
    with story() as arda:
        arda.first_session()
        arda.world.advance(hours=23)
        arda.build("storehouse")
        before = arda.planet()["structures"]
        arda.world.advance(hours=1, minutes=15)
        assert names(arda.ann, "dragons_raided", "construction_complete")[3:] == [
            "construction_complete",
            "dragons_raided",
        ]
        assert arda.planet()["structures"] == {**before, "storehouse": 1}


def forgotten(arda: Story) -> int:
    """How often dragons come when nobody gives an order any more."""
    arda.world.advance(days=200)
    return len(arda.ann.received("dragons_raided"))


def test_dragons_lose_interest_in_a_universe_that_nobody_plays_and_return_when_somebody_does() -> None:
    with story() as arda:
        assert forgotten(arda) == rules.QUIET_VISITS
        assert arda.chart()["processes"] == []
        arda.build("metal_mine")
        arda.world.advance(days=5)
        assert len(arda.ann.received("dragons_inbound")) == rules.QUIET_VISITS + 1
        assert forgotten(arda) == 2 * rules.QUIET_VISITS


def test_only_one_flight_of_dragons_is_ever_on_its_way() -> None:
    with story() as arda:
        for visit in range(20):
            arda.world.advance(days=3)
            arda.order("rename_planet", planet=1, name=f"Visit {visit}")
        told = names(arda.ann, "dragons_inbound", "dragons_raided")
        assert told == ["dragons_inbound", "dragons_raided"] * (len(told) // 2) + ["dragons_inbound"] * (
            len(told) % 2
        )


def test_a_stranger_hears_of_no_dragons() -> None:
    with story() as arda:
        eve = arda.world.connect("eve")
        arda.world.advance(hours=1)
        assert eve.received() == []
        assert refused(lambda: eve.view("universe", universe=arda.universe)).reason == "not_a_member"
