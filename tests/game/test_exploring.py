"""Observatories discover stars; probes visit them."""

import pytest

from herebedragons import sky
from tests.game.story import after, moment, names, refused, sentence, story


def test_an_observatory_leads_to_new_stars_on_the_map() -> None:
    with story() as arda:
        arda.first_session()
        ready = after(arda.chart()["created_at"], minutes=55)
        (survey,) = [each for each in arda.chart()["processes"] if each["kind"] == "survey"]
        assert survey["data"] == {"planet": 1, "level": 1}
        assert moment(survey["due_at"]) == after(ready, hours=3)
        arda.world.advance(hours=3)
        (discovered,) = arda.ann.received("stars_discovered")
        assert moment(discovered.at) == after(ready, hours=3)
        found = discovered.data["stars"]
        assert len(found) == 3
        one, two, three = (star["name"] for star in found)
        assert discovered.message == f"New stars were discovered: {one}, {two} and {three}."
        assert arda.chart()["stars"][1:] == found
        for star in found:
            assert not star["home"]
            assert not star["probed"]
            assert star["note"] is None


def test_an_observatory_looks_on_until_it_has_seen_all_in_its_reach_and_a_better_one_sees_farther() -> None:
    with story() as arda:
        arda.first_session()
        arda.world.advance(hours=100)
        assert [each for each in arda.chart()["processes"] if each["kind"] == "survey"] == []
        seen = arda.chart()["stars"]
        assert 6 <= len(seen) < sky.STARS
        assert all(star["x"] ** 2 + star["y"] ** 2 <= sky.reach(1) ** 2 for star in seen)
        arda.build("observatory")
        arda.world.advance(hours=1)
        (survey,) = [each for each in arda.chart()["processes"] if each["kind"] == "survey"]
        assert survey["data"]["level"] == 2
        arda.world.advance(hours=100)
        assert len(arda.chart()["stars"]) > len(seen)


def test_an_observatory_that_grows_during_a_survey_goes_on_and_uses_its_new_level_next() -> None:
    with story() as arda:
        arda.world.advance(hours=24)
        for structure in ("crystal_mine", "observatory", "observatory"):
            arda.build(structure)
        arda.world.advance(hours=2)
        surveys = [each for each in arda.chart()["processes"] if each["kind"] == "survey"]
        assert [survey["data"]["level"] for survey in surveys] == [1]
        arda.world.advance(hours=2)
        surveys = [each for each in arda.chart()["processes"] if each["kind"] == "survey"]
        assert [survey["data"]["level"] for survey in surveys] == [2]


def test_the_same_seed_has_the_same_sky_and_another_another() -> None:
    charts = []
    for seed in (7, 7, 8):
        with story(seed=seed) as arda:
            arda.first_session()
            arda.world.advance(hours=20)
            charts.append([star["name"] for star in arda.chart()["stars"]])
    assert charts[0] == charts[1] != charts[2]


def test_a_probe_travels_arrives_and_sends_home_what_it_found() -> None:
    with story() as arda:
        bo = arda.invite("bo")
        arda.first_session()
        arda.world.advance(hours=3)
        star = arda.chart()["stars"][1]
        before = arda.resources()
        sent = arda.probe(star["star"])
        assert arda.resources() == (before[0], before[1] - sky.PROBE_PRICE.crystal)
        (probe,) = arda.chart()["probes"]
        assert (probe["star"], probe["process"], probe["from_star"]) == (star["star"], sent["process"], 0)
        far = (star["x"] ** 2 + star["y"] ** 2) ** 0.5
        assert moment(sent["due_at"]) == after(probe["started_at"], seconds=sky.probe_seconds(far))
        (told,) = bo.received("probe_sent")
        assert told.data["probe"] == probe
        assert sentence(told).startswith(
            f"A probe has left {arda.planet()['name']} for {star['name']}; it arrives in "
        )
        arda.world.advance(hours=4)
        (arrived,) = bo.received("probe_arrived")
        assert moment(arrived.at) == moment(sent["due_at"])
        assert arrived.data["star"]["probed"]
        assert arrived.message == f"The probe has reached {star['name']}. {arrived.data['found']}"
        assert arrived.data["found"].startswith(arrived.data["star"]["note"])
        assert arda.chart()["stars"][1] == arrived.data["star"]
        assert arda.chart()["probes"] == []


def test_a_probe_is_refused_where_it_makes_no_sense() -> None:
    with story() as arda:
        for number, reason in ((0, "already_probed"), (5, "not_discovered"), (4711, "not_discovered")):
            error = refused(lambda star=number: arda.probe(star))  # type: ignore[misc]
            assert error.reason == reason
        arda.first_session()
        arda.world.advance(hours=3)
        first, second, third = (star["star"] for star in arda.chart()["stars"][1:])
        arda.probe(first)
        error = refused(lambda: arda.probe(first))
        assert error.reason == "probe_under_way"
        arda.world.advance(hours=4)
        error = refused(lambda: arda.probe(first))
        assert error.reason == "already_probed"
        arda.probe(second)
        arda.probe(third)
        assert {probe["star"] for probe in arda.chart()["probes"]} == {second, third}


def test_a_probe_that_cannot_be_paid_stays_home() -> None:
    with story() as arda:
        arda.first_session()
        arda.world.advance(hours=3)
        arda.build("shield")
        arda.build("metal_mine")
        first, second, third = (star["star"] for star in arda.chart()["stars"][1:])
        for star in (first, second):
            arda.probe(star)
        error = refused(lambda: arda.probe(third))
        assert error.reason == "not_enough_crystal"
        assert error.details["need"] == sky.PROBE_PRICE.crystal
        assert error.message.startswith("A probe needs 40 crystal; you have ")


@pytest.mark.parametrize("pace", [60, 3600])
def test_a_message_states_the_real_time_to_arrival(pace: int) -> None:
    with story(pace=pace) as arda:
        for structure in ("metal_mine", "crystal_mine", "observatory"):
            arda.build(structure)
        arda.world.advance(hours=4 / pace)
        star = arda.chart()["stars"][1]["star"]
        arda.probe(star)
        (sent,) = arda.ann.received("probe_sent")
        assert "hour" not in sentence(sent)
        assert names(arda.ann, "probe_arrived") == []
