import pytest
from app import app

from starwire.testing import CommandFailed, World


def test_a_payment_adds_to_the_purse_and_is_told() -> None:
    with World(app) as world:
        ann, operator = world.connect("ann"), world.connect("operator")
        assert operator.command("pay", coins=3) == 3  # in a world, the operator is who `requires` lets in
        assert operator.command("pay", coins=4) == 7
        assert [push.data for push in operator.received("paid")] == [{"coins": 3}, {"coins": 7}]
        assert (ann.view("purse"), operator.view("purse")) == (0, 7)


def test_no_player_can_pay_itself() -> None:
    with World(app) as world:
        ann = world.connect("ann")
        with pytest.raises(CommandFailed, match="unauthorized"):
            ann.command("pay", coins=1_000_000)
