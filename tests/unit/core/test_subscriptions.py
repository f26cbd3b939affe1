"""How many streams one player may be granted."""

from __future__ import annotations

import pytest

import starwire
from starwire import Limits, Transaction
from starwire.testing import CommandFailed, World


def make_app() -> starwire.App:
    app = starwire.App("listening")

    class Hear(starwire.Command, frozen=True):
        stream: str

    class Forget(starwire.Command, frozen=True):
        stream: str

    def hear(tx: Transaction, player: str, order: Hear) -> None:
        tx.subscribe(player, order.stream)

    def forget(tx: Transaction, player: str, order: Forget) -> None:
        tx.unsubscribe(player, order.stream)

    hear.__annotations__["order"] = Hear
    forget.__annotations__["order"] = Forget
    app.command(hear)
    app.command(forget)
    return app


def test_a_player_is_granted_as_many_streams_as_the_limit_says_and_not_one_more() -> None:
    limits = Limits(subscriptions=2, commands_per_second=1e6)
    with World(make_app(), limits=limits) as world:
        ann = world.connect("ann")
        ann.command("hear", stream="a")
        ann.command("hear", stream="b")
        ann.command("hear", stream="b")  # granted already: no other one
        with pytest.raises(CommandFailed, match="at most 2 streams"):
            ann.command("hear", stream="c")
        ann.command("forget", stream="a")
        ann.command("hear", stream="c")
        granted = [push.data["stream"] for push in ann.received("subscribed")]
    assert granted == ["a", "b", "c"]
