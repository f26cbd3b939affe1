from app import app

from starwire.testing import World


def test_everyone_in_the_square_hears_what_is_said() -> None:
    with World(app) as world:
        ann, ben = world.connect("ann"), world.connect("ben")
        ann.command("enter")
        ben.command("enter")
        ann.command("say", text="Good morning.")
        for each in (ann, ben):
            assert [push.data for push in each.received("said")] == [
                {"player": "ann", "text": "Good morning."}
            ]


def test_who_was_away_hears_it_later() -> None:
    with World(app) as world:
        ann, ben = world.connect("ann"), world.connect("ben")
        ben.command("enter")
        ben.disconnect()
        ann.command("say", text="Good morning.")
        ben.hello(resume={"square": 0} | ben.offsets)
        assert [push.offset for push in ben.received("said")] == [1]


def test_who_has_not_entered_hears_nothing() -> None:
    with World(app) as world:
        ann, ben = world.connect("ann"), world.connect("ben")
        ann.command("say", text="Is anybody here?")
        assert ben.received() == []
