import pytest
from app import app

from starwire.testing import CommandFailed, World


def test_a_mine_is_larger_when_its_time_has_come() -> None:
    with World(app) as world:
        ann = world.connect("ann")
        ann.command("build_mine")
        world.advance(minutes=3)
        assert ann.view("look") == {"mine": 1, "metal": 43, "metal_an_hour": 60}  # 100, less 60, and three
        world.advance(minutes=1)
        assert ann.received("construction_complete")[0].message == "Your mine is at level 2."
        world.advance(hours=1)
        assert ann.view("look") == {"mine": 2, "metal": 164, "metal_an_hour": 120}


def test_who_is_away_loses_nothing() -> None:
    with World(app) as world:
        ann = world.connect("ann")
        ann.command("build_mine")
        world.sleep(hours=25)
        ann.hello(resume=ann.offsets)
        assert ann.received("construction_complete")
        assert ann.view("look")["metal"] == 44 + (25 * 60 - 4) * 2


def test_what_is_cancelled_is_paid_back_and_never_completes() -> None:
    with World(app) as world:
        ann = world.connect("ann")
        started = ann.command("build_mine")
        ann.command("cancel", process=started["process"])
        world.advance(hours=1)
        assert ann.view("look")["metal"] == 160
        assert not ann.received("construction_complete")


def test_a_mine_needs_metal_and_one_thing_is_built_after_the_other() -> None:
    with World(app) as world:
        ann = world.connect("ann")
        ann.command("build_mine")
        with pytest.raises(CommandFailed, match="One thing after the other"):
            ann.command("build_mine")
        world.advance(minutes=4)
        with pytest.raises(CommandFailed, match="needs 120 metal; you have 44"):
            ann.command("build_mine")
