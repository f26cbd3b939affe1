"""Building: orders are paid at once, follow each other at the right times, and can be taken back."""

import pytest

from herebedragons import rules
from herebedragons.rules import Structure
from tests.game.story import after, completions, moment, names, refused, story


def test_an_order_is_paid_at_once_begins_at_once_and_completes_by_itself() -> None:
    with story() as arda:
        begun = arda.chart()["created_at"]
        ordered = arda.build("metal_mine")
        assert (ordered["construction"], ordered["position"]) == (1, 0)
        assert moment(ordered["due_at"]) == after(begun, minutes=10)
        assert arda.resources() == (240, 135)
        (underway,) = arda.chart()["processes"]
        assert (underway["process"], underway["kind"]) == (ordered["process"], "construct")
        assert underway["data"] == {"planet": 1, "structure": "metal_mine", "level": 1, "construction": 1}
        arda.world.advance(minutes=9, seconds=59)
        assert completions(arda.ann) == []
        arda.world.advance(seconds=1)
        assert completions(arda.ann) == [("metal_mine", 1, after(begun, minutes=10))]
        assert arda.planet()["structures"]["metal_mine"] == 1
        assert arda.planet()["queue"] == []
        assert arda.planet()["resources"]["metal_per_hour"] == 80


def test_a_queue_of_two_ends_at_the_right_times() -> None:
    with story() as arda:
        begun = arda.chart()["created_at"]
        arda.build("metal_mine")
        second = arda.build("metal_mine")
        assert second == {"construction": 2, "process": None, "due_at": None, "position": 1}
        assert arda.queue() == [("metal_mine", 1, 0), ("metal_mine", 2, 1)]
        arda.world.advance(hours=1)
        assert completions(arda.ann) == [
            ("metal_mine", 1, after(begun, minutes=10)),
            ("metal_mine", 2, after(begun, minutes=25)),
        ]


def test_after_an_outage_a_queue_has_ended_at_the_times_at_which_it_would_have() -> None:
    with story() as arda:
        begun = arda.chart()["created_at"]
        for structure in ("metal_mine", "crystal_mine", "observatory"):
            arda.build(structure)
        arda.outage(minutes=600)
        assert completions(arda.ann) == [
            ("metal_mine", 1, after(begun, minutes=10)),
            ("crystal_mine", 1, after(begun, minutes=25)),
            ("observatory", 1, after(begun, minutes=55)),
        ]
        told = [moment(push.at) for push in arda.ann.received() if push.stream.startswith("universe")]
        assert told == sorted(told)
        assert names(arda.ann, "stars_discovered") == ["stars_discovered"] * 3
        # 300 - 228 at the start, 20 an hour for ten minutes, then 80; the rest of ten hours
        metal = 72 + 20 * 10 / 60 + 80 * (10 - 10 / 60)
        assert arda.resources()[0] == pytest.approx(metal)


def test_events_about_the_queue_carry_all_of_it() -> None:
    with story() as arda:
        arda.build("metal_mine")
        arda.build("crystal_mine")
        arda.world.advance(minutes=10)
        about = [
            push
            for push in arda.ann.received()
            if push.event in ("construction_queued", "construction_begun", "construction_complete")
        ]
        assert [push.event for push in about] == [
            "construction_queued",
            "construction_begun",
            "construction_queued",
            "construction_complete",
            "construction_begun",
        ]
        assert [len(push.data["queue"]) for push in about] == [1, 1, 2, 1, 1]
        assert about[-1].data["queue"] == arda.planet()["queue"]
        assert about[2].data["construction"] == about[2].data["queue"][1]
        assert about[2].data["queue"][0]["process"] == about[1].data["construction"]["process"]
        assert about[2].data["construction"]["cost"] == {"metal": 48, "crystal": 24}
        assert all(push.message is None for push in about if push.event != "construction_complete")


@pytest.mark.parametrize(("pace", "seconds"), [(1, 600.0), (60, 10.0), (3600, 1 / 6)])
def test_pace_divides_durations_and_multiplies_growth(pace: int, seconds: float) -> None:
    with story(pace=pace) as arda:
        begun = arda.chart()["created_at"]
        ordered = arda.build("metal_mine")
        assert (moment(ordered["due_at"]) - moment(begun)).total_seconds() == pytest.approx(seconds, abs=1e-5)
        planet = arda.planet()
        assert planet["resources"]["metal_per_hour"] == 20 * pace
        assert planet["queue"][0]["seconds"] == pytest.approx(seconds)
        arda.world.advance(seconds=seconds)
        assert len(completions(arda.ann)) == 1
        assert arda.resources()[0] == pytest.approx(240 + 20 / 6, abs=1e-3)


# ---------------------------------------------------------------------------------------------- taking back


def test_cancelling_brings_the_cost_back_starts_the_next_now_and_no_completion_arrives() -> None:
    with story() as arda:
        first = arda.build("metal_mine")
        second = arda.build("crystal_mine")
        arda.world.advance(minutes=5)
        before = arda.resources()
        assert arda.cancel(first["construction"]) == {"refund": {"metal": 60, "crystal": 15}}
        assert arda.resources() == (before[0] + 60, before[1] + 15)
        (waiting,) = arda.planet()["queue"]
        assert (waiting["construction"], waiting["position"]) == (second["construction"], 0)
        begun = after(arda.chart()["created_at"], minutes=5)
        assert moment(waiting["started_at"]) == begun
        assert moment(waiting["due_at"]) == after(begun, minutes=15)
        (gone,) = arda.ann.received("construction_cancelled")
        assert (gone.data["construction"], gone.data["structure"]) == (first["construction"], "metal_mine")
        arda.world.advance(hours=30)
        assert completions(arda.ann) == [("crystal_mine", 1, after(begun, minutes=15))]
        assert arda.planet()["structures"]["metal_mine"] == 0


def test_cancelling_what_waits_leaves_what_is_being_built_alone() -> None:
    with story() as arda:
        first = arda.build("metal_mine")
        second = arda.build("crystal_mine")
        arda.world.advance(minutes=1)
        assert arda.cancel(second["construction"]) == {"refund": {"metal": 48, "crystal": 24}}
        assert names(arda.ann, "process_cancelled") == []
        (still,) = arda.planet()["queue"]
        assert still["process"] == first["process"]
        assert moment(still["due_at"]) == moment(first["due_at"])


def test_cancelling_a_lower_level_moves_the_higher_one_down_and_refunds_its_price() -> None:
    with story() as arda:
        first = arda.build("metal_mine")
        arda.build("metal_mine")
        arda.world.advance(minutes=2)
        assert arda.cancel(first["construction"]) == {"refund": {"metal": 96, "crystal": 24}}
        assert arda.queue() == [("metal_mine", 1, 0)]
        (left,) = arda.planet()["queue"]
        assert left["cost"] == {"metal": 60, "crystal": 15}
        assert moment(left["due_at"]) == after(left["started_at"], minutes=10)
        assert arda.cancel(left["construction"]) == {"refund": {"metal": 60, "crystal": 15}}
        grown = 20 * 2 / 60
        assert arda.resources() == pytest.approx((300 + grown, 150 + grown / 2))


def test_what_something_behind_it_needs_is_not_taken_back_first() -> None:
    with story() as arda:
        crystal = arda.build("crystal_mine")
        observatory = arda.build("observatory")
        error = refused(lambda: arda.cancel(crystal["construction"]))
        assert error.reason == "needed_by_queue"
        assert error.message == "The observatory behind it needs the crystal mine; cancel that first."
        assert error.details["construction"] == observatory["construction"]
        arda.cancel(observatory["construction"])
        arda.cancel(crystal["construction"])
        assert arda.resources() == tuple(rules.START)


def test_what_is_complete_or_was_taken_back_or_never_was_cannot_be_taken_back() -> None:
    with story() as arda:
        done = arda.build("metal_mine")
        arda.world.advance(minutes=10)
        gone = arda.build("crystal_mine")
        arda.cancel(gone["construction"])
        for construction in (done["construction"], gone["construction"], 99):
            error = refused(lambda number=construction: arda.cancel(number))  # type: ignore[misc]
            assert error.reason == "not_found"


def test_a_completed_number_is_never_used_again() -> None:
    with story() as arda:
        numbers = []
        for _ in range(3):
            numbers.append(arda.build("metal_mine")["construction"])
            arda.cancel(numbers[-1])
        assert numbers == [1, 2, 3]


# ------------------------------------------------------------------------------------------ what is refused


def test_what_cannot_be_paid_is_refused_with_what_is_missing_and_when_it_will_be_there() -> None:
    with story() as arda:
        for structure in ("metal_mine", "crystal_mine", "observatory"):
            arda.build(structure)
        error = refused(lambda: arda.build("shield"))
        assert (error.code, error.reason) == ("rejected", "not_enough_metal")
        assert error.details == {"need": 150, "have": 72}
        assert error.message.startswith(
            "A shield needs 150 metal; you have 72. At this rate there will be enough in 4 h"
        )
        assert arda.resources() == (72, 51), "a refusal costs nothing"


def test_a_shortage_of_crystal_is_named_too_and_told_in_real_time() -> None:
    with story(pace=60) as arda:
        arda.build("crystal_mine")
        arda.build("observatory")
        arda.world.advance(seconds=56)
        error = refused(lambda: arda.build("shield"))
        assert error.reason == "not_enough_crystal"
        assert error.details == {"need": 100, "have": 99}
        assert error.message == (
            "A shield needs 100 crystal; you have 99. At this rate there will be enough in 1 second."
        )


def test_what_no_storehouse_can_hold_is_not_promised() -> None:
    with story() as arda:
        arda.first_session()
        for _ in range(5):
            arda.world.advance(hours=48)
            arda.build("metal_mine")
        arda.world.advance(hours=100)
        error = refused(lambda: arda.build("metal_mine"))
        assert error.message == (
            "A metal mine of level 7 needs 1,007 metal; you have 1,000."
            " Only a larger storehouse will ever hold that much."
        )


def test_a_queue_holds_five() -> None:
    with story() as arda:
        arda.world.advance(hours=40)
        for structure in ("metal_mine", "crystal_mine", "storehouse", "observatory", "shield"):
            arda.build(structure)
        assert refused(lambda: arda.build("storehouse")).reason == "queue_full"


def test_needs_are_said_in_words() -> None:
    with story() as arda:
        error = refused(lambda: arda.build("observatory"))
        assert (error.reason, error.message) == (
            "needs_structure",
            "An observatory needs a crystal mine first.",
        )
        assert refused(lambda: arda.build("shield")).message == "A shield needs an observatory first."


def test_unknown_planets_and_structures_are_refused() -> None:
    with story() as arda:
        assert (
            refused(lambda: arda.order("build", planet=2, structure="metal_mine")).reason == "unknown_planet"
        )
        assert refused(lambda: arda.order("build", planet=-1, structure="metal_mine")).code == "invalid_args"
        assert refused(lambda: arda.build("death_star")).code == "invalid_args"


def test_levels_end_somewhere() -> None:
    with story(pace=3600) as arda:
        for level in range(1, rules.MAX_LEVEL + 1):
            missing = rules.cost(Structure.STOREHOUSE, level).metal - arda.resources()[0]
            if missing > 0:
                arda.world.advance(hours=missing / (20 * 3600) + 0.001)
            arda.build("storehouse")
            arda.world.advance(hours=2)
        assert arda.planet()["structures"]["storehouse"] == rules.MAX_LEVEL
        assert refused(lambda: arda.build("storehouse")).reason == "max_level"
        assert "storehouse" not in [offer["structure"] for offer in arda.planet()["offers"]]
