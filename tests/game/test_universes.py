"""Universes come to be, their crews gather, and nobody else looks in."""

import pytest

from herebedragons import rules
from herebedragons.app import app
from starwire.testing import World
from tests.game.story import moment, names, refused, sentence, story


def test_a_new_universe_has_a_home_planet_that_can_build_and_a_star_to_live_at() -> None:
    with story() as arda:
        chart = arda.chart()
        assert (chart["name"], chart["pace"]) == ("Arda", 1)
        assert chart["members"] == [{"player": "ann", "name": chart["members"][0]["name"]}]
        assert [(star["x"], star["y"], star["home"], star["probed"]) for star in chart["stars"]] == [
            (0, 0, True, True)
        ]
        planet = chart["planets"][0]
        assert planet["structures"] == dict.fromkeys(
            ("metal_mine", "crystal_mine", "storehouse", "observatory", "shield"), 0
        )
        assert (planet["resources"]["metal"], planet["resources"]["crystal"]) == rules.START
        assert planet["queue"] == []
        assert chart["dragons"] is None
        assert chart["probes"] == []
        assert chart["processes"] == [], "the first sighting is a secret"
        assert chart["shield"] == {"level": 0, "power": 0}


def test_offers_say_what_is_locked_and_why() -> None:
    with story() as arda:
        offers = {offer["structure"]: offer for offer in arda.planet()["offers"]}
        assert offers["metal_mine"] == {
            "structure": "metal_mine",
            "level": 1,
            "metal": 60,
            "crystal": 15,
            "seconds": 600.0,
            "unlocked": True,
            "needs": None,
        }
        assert (offers["observatory"]["unlocked"], offers["observatory"]["needs"]) == (
            False,
            "a crystal mine",
        )
        assert (offers["shield"]["unlocked"], offers["shield"]["needs"]) == (False, "an observatory")
        arda.build("crystal_mine")
        offers = {offer["structure"]: offer for offer in arda.planet()["offers"]}
        assert offers["observatory"]["unlocked"], "what is queued counts"
        assert offers["crystal_mine"]["level"] == 2


def test_creating_tells_the_players_other_tabs_and_begins_the_universes_stream() -> None:
    with story() as arda:
        opened = arda.ann.received("universe_opened")
        assert [(push.stream, push.data) for push in opened] == [
            ("player:ann", {"universe": arda.universe, "name": "Arda", "pace": 1})
        ]
        created = arda.ann.received("universe_created")
        assert [(push.stream, push.offset, push.data) for push in created] == [
            (f"universe:{arda.universe}", 1, {"name": "Arda", "pace": 1})
        ]


def test_the_list_of_universes_counts_their_members() -> None:
    with story() as arda:
        bo = arda.invite("bo")
        own = bo.command("create_universe", name="  Bo's   own ", pace=60)["universe"]
        listed = bo.view("universes")["universes"]
        assert [(each["universe"], each["name"], each["pace"], each["members"]) for each in listed] == [
            (arda.universe, "Arda", 1, 2),
            (own, "Bo's own", 60, 1),
        ]
        assert moment(listed[0]["created_at"]) == moment(arda.chart()["created_at"])
        assert [each["universe"] for each in arda.ann.view("universes")["universes"]] == [arda.universe]


@pytest.mark.parametrize("pace", [0, 2, 59, 7200, -1, "1", None])
def test_a_pace_is_1_60_or_3600(pace: object) -> None:
    with World(app, seed=7) as world:
        ann = world.connect("ann")
        error = refused(lambda: ann.command("create_universe", name="Arda", pace=pace))
        assert error.code == "invalid_args"
        assert "pace" in error.message


@pytest.mark.parametrize("name", ["", "   ", "x" * 41, "two\nlines", "\u202e"])
def test_a_name_that_cannot_be_drawn_is_refused(name: str) -> None:
    with World(app, seed=7) as world:
        ann = world.connect("ann")
        assert refused(lambda: ann.command("create_universe", name=name)).reason == "bad_name"


def test_nobody_is_in_more_universes_than_the_limit() -> None:
    with World(app, seed=7) as world:
        ann = world.connect("ann")
        for number in range(rules.UNIVERSES_PER_PLAYER):
            ann.command("create_universe", name=f"World {number}")
        error = refused(lambda: ann.command("create_universe", name="One more"))
        assert error.reason == "too_many_universes"


# ------------------------------------------------------------------------------------------------- the crew


def test_an_invited_player_sees_the_same_countdown_and_the_same_completion() -> None:
    with story() as arda:
        bo = arda.invite("bo")
        ordered = arda.build("metal_mine")
        started = {
            player: [push for push in player.received("process_started") if push.data["kind"] == "construct"]
            for player in (arda.ann, bo)
        }
        assert [push.data for push in started[bo]] == [push.data for push in started[arda.ann]]
        assert started[bo][0].data["process"] == ordered["process"]
        assert moment(started[bo][0].data["due_at"]) == moment(ordered["due_at"])
        assert started[bo][0].data["data"] == {
            "planet": 1,
            "structure": "metal_mine",
            "level": 1,
            "construction": ordered["construction"],
        }
        arda.world.advance(minutes=10)
        for player in (arda.ann, bo):
            (complete,) = player.received("construction_complete")
            assert complete.stream == f"universe:{arda.universe}"
            planet = arda.planet()["name"]
            assert complete.message == f"The metal mine on {planet} is complete (level 1)."
        assert arda.chart(bo) == arda.chart()


def test_those_who_are_there_hear_who_joins_and_the_crew_can_all_build() -> None:
    with story() as arda:
        bo = arda.invite("bo")
        (joined,) = arda.ann.received("member_joined")
        assert joined.data["player"] == "bo"
        assert joined.message == f"{joined.data['name']} has joined the crew of Arda."
        assert [member["player"] for member in arda.chart()["members"]] == ["ann", "bo"]
        assert names(bo, "universe_opened") == ["universe_opened"]
        assert arda.build("metal_mine", by=bo)["position"] == 0


def test_an_invitation_stays_the_same_until_it_is_renewed() -> None:
    with story() as arda:
        first = arda.order("invite")["invitation"]
        assert first.startswith(f"{arda.universe}-")
        assert arda.order("invite")["invitation"] == first
        second = arda.order("invite", renew=True)["invitation"]
        assert second != first
        bo = arda.world.connect("bo")
        assert refused(lambda: bo.command("join", invitation=first)).reason == "invitation_unknown"
        assert bo.command("join", invitation=f"  {second} ") == {"universe": arda.universe}


def test_joining_twice_just_enters() -> None:
    with story() as arda:
        bo = arda.invite("bo")
        code = arda.order("invite")["invitation"]
        assert bo.command("join", invitation=code) == {"universe": arda.universe}
        assert len(arda.ann.received("member_joined")) == 1


@pytest.mark.parametrize(
    "code",
    ["", "1", "1-", "-abc", "1-abc", "0-abc", "99-abc", "1-a b", "x" * 100, "9" * 30 + "-abc", "1-\u00e9"],
)
def test_a_wrong_invitation_opens_nothing(code: str) -> None:
    with story() as arda:
        arda.order("invite")
        bo = arda.world.connect("bo")
        assert refused(lambda: bo.command("join", invitation=code)).reason == "invitation_unknown"


def test_a_universe_that_invites_nobody_cannot_be_joined() -> None:
    with story() as arda:
        bo = arda.world.connect("bo")
        error = refused(lambda: bo.command("join", invitation=f"{arda.universe}-None"))
        assert error.reason == "invitation_unknown"


def test_a_crew_is_full_at_eight() -> None:
    with story() as arda:
        for number in range(rules.MEMBERS_PER_UNIVERSE - 1):
            arda.invite(f"friend{number}")
        late = arda.world.connect("late")
        code = arda.order("invite")["invitation"]
        assert refused(lambda: late.command("join", invitation=code)).reason == "universe_full"


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize(
    ("command", "args"),
    [
        ("invite", {}),
        ("leave", {}),
        ("build", {"planet": 1, "structure": "metal_mine"}),
        ("cancel_construction", {"construction": 1}),
        ("send_probe", {"star": 1}),
        ("rename_planet", {"planet": 1, "name": "Mine"}),
    ],
)
def test_who_is_not_a_member_is_refused_whether_there_is_such_a_universe_or_not(
    command: str, args: dict[str, object], known: bool
) -> None:
    with story() as arda:
        arda.build("metal_mine")
        eve = arda.world.connect("eve")
        arda.universe = arda.universe if known else 4711
        assert refused(lambda: arda.order(command, by=eve, **args)).reason == "not_a_member"


def test_who_is_not_a_member_sees_and_hears_nothing() -> None:
    with story() as arda:
        eve = arda.world.connect("eve")
        assert refused(lambda: eve.view("universe", universe=arda.universe)).reason == "not_a_member"
        assert refused(lambda: eve.view("universe", universe=4711)).reason == "not_a_member"
        assert eve.view("universes") == {"universes": []}
        arda.build("metal_mine")
        arda.world.advance(hours=1)
        assert eve.received() == []


def test_who_leaves_hears_and_sees_no_more_and_the_others_go_on() -> None:
    with story() as arda:
        bo = arda.invite("bo")
        assert arda.order("leave", by=bo) == {}
        (left,) = arda.ann.received("member_left")
        assert left.data["player"] == "bo"
        assert sentence(left) == f"{left.data['name']} has left the crew of Arda."
        (closed,) = bo.received("universe_closed")
        assert (closed.stream, closed.data) == ("player:bo", {"universe": arda.universe})
        assert bo.view("universes") == {"universes": []}
        heard = len(bo.received())
        arda.build("metal_mine")
        arda.world.advance(hours=1)
        assert len(bo.received()) == heard
        assert refused(lambda: arda.chart(bo)).reason == "not_a_member"
        assert [member["player"] for member in arda.chart()["members"]] == ["ann"]


def test_a_universe_that_everybody_left_comes_to_rest() -> None:
    with story() as arda:
        code = arda.order("invite")["invitation"]
        arda.order("leave")
        arda.world.advance(days=100)
        assert arda.world.engine.next_due is None
        bo = arda.world.connect("bo")
        bo.command("join", invitation=code)
        assert arda.chart(bo)["members"][0]["player"] == "bo"


def test_a_planet_can_be_renamed_by_the_crew() -> None:
    with story() as arda:
        old = arda.planet()["name"]
        assert arda.order("rename_planet", planet=1, name="  New   Hope ") == {}
        assert arda.planet()["name"] == "New Hope"
        (renamed,) = arda.ann.received("planet_renamed")
        assert renamed.data == {"planet": 1, "name": "New Hope"}
        assert renamed.message == f"{old} is called New Hope from now on. The charts have been corrected."
        assert refused(lambda: arda.order("rename_planet", planet=1, name=" ")).reason == "bad_name"
        error = refused(lambda: arda.order("rename_planet", planet=9, name="X"))
        assert error.reason == "unknown_planet"
