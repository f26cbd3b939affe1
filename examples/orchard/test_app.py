import pytest
from app import app

from starwire.testing import CommandFailed, World


def test_apples_are_ripe_25_hours_later() -> None:
    with World(app) as world:
        ann = world.connect("ann")
        ann.command("plant", seconds=25 * 60 * 60)
        world.advance(hours=25)
        assert [push.data for push in ann.received("ripe")] == [{"apples": 3}]


def test_apples_ripen_while_nobody_is_connected_and_no_server_runs() -> None:
    with World(app) as world:
        ann = world.connect("ann")
        ann.command("plant", seconds=60)
        world.sleep(hours=25)
        ann.hello(resume=ann.offsets)
        ripe = ann.received("ripe")[0]
        assert (world.now - ripe.at).total_seconds() == 25 * 60 * 60 - 60  # at its own time, though told late
        assert ann.view("look") == 3


def test_a_tree_cannot_grow_in_no_time() -> None:
    with World(app) as world:
        ann = world.connect("ann")
        with pytest.raises(CommandFailed) as refusal:
            ann.command("plant", seconds=0)
        assert (refusal.value.error.reason, refusal.value.error.details) == ("too_fast", {"need": 1})
