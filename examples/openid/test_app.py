import pytest
from app import app

from starwire.testing import CommandFailed, World


def test_who_the_provider_names_is_the_player() -> None:
    with World(app) as world:
        assert world.connect("ann").view("who_am_i") == "ann"


def test_only_operators_close() -> None:
    with World(app) as world:
        assert world.connect("operator").command("close") == "closed by operator"
        with pytest.raises(CommandFailed, match="unauthorized"):
            world.connect("ann").command("close")
