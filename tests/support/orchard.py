"""The orchard, for tests of servers and clients: trees that ripen in no time, a counter, an open stream."""

from datetime import timedelta

from sqlalchemy import Column, Integer, MetaData, String, Table, insert, select, update

import starwire
from starwire import Read, Transaction


class Plant(starwire.Command, frozen=True):
    milliseconds: int = 10


class Pick(starwire.Command, frozen=True):
    """Pick one apple; count how often."""


class Shout(starwire.Command, frozen=True):
    text: str
    times: int = 1

    def key(self, player: str) -> str:
        return "meadow"


class Join(starwire.Command, frozen=True):
    """Hear the meadow."""

    def key(self, player: str) -> str:
        return "meadow"


class Break(starwire.Command, frozen=True):
    """Raises."""


class Ripen(starwire.Process, frozen=True):
    public = ("apples",)

    apples: int = 3


class Ripe(starwire.Event, frozen=True):
    apples: int


class Picked(starwire.Event, frozen=True):
    total: int


class Shouted(starwire.Event, frozen=True):
    text: str

    def message(self) -> str:
        return f"Somebody shouts: {self.text}"


class Look(starwire.View, frozen=True):
    """How many apples were picked."""


class Meadow(starwire.View, frozen=True):
    """How often somebody has shouted."""


def orchard() -> starwire.App:  # noqa: C901 -- many small handlers
    """A new app with tables of its own."""
    tables = MetaData()
    baskets = Table("baskets", tables, Column("player", String, primary_key=True), Column("apples", Integer))
    app = starwire.App("orchard", tables=tables)

    @app.command
    def plant(tx: Transaction, player: str, order: Plant) -> starwire.Started:
        if order.milliseconds < 0:
            raise starwire.Rejected("too_fast", "A tree needs some time.", need=0)
        return tx.start(Ripen(), owner=player, due=timedelta(milliseconds=order.milliseconds))

    @app.process
    def ripen(tx: Transaction, job: Ripen) -> None:
        tx.publish(f"player:{tx.process.owner}", Ripe(job.apples))

    def count(tx: Transaction, whose: str) -> int:
        row = baskets.c.player == whose
        apples: int | None = tx.db.scalar(select(baskets.c.apples).where(row))
        if apples is None:
            tx.db.execute(insert(baskets).values(player=whose, apples=1))
        else:
            tx.db.execute(update(baskets).where(row).values(apples=apples + 1))
        return (apples or 0) + 1

    @app.command
    def pick(tx: Transaction, player: str, order: Pick) -> int:
        total = count(tx, player)
        tx.publish(f"player:{player}", Picked(total))
        return total

    @app.command
    def shout(tx: Transaction, player: str, order: Shout) -> int:
        total = 0
        for _ in range(order.times):
            tx.publish("meadow", Shouted(order.text))
            total = count(tx, "meadow")
        return total

    @app.command
    def join(tx: Transaction, player: str, order: Join) -> None:
        tx.subscribe(player, "meadow")

    @app.command
    def break_(tx: Transaction, player: str, order: Break) -> None:
        raise RuntimeError("a secret")

    @app.view
    def look(read: Read, player: str, ask: Look) -> int:
        return read.db.scalar(select(baskets.c.apples).where(baskets.c.player == player)) or 0

    @app.view
    def meadow(read: Read, player: str, ask: Meadow) -> int:
        read.position("meadow")
        return read.db.scalar(select(baskets.c.apples).where(baskets.c.player == "meadow")) or 0

    app.event(Ripe)
    app.event(Shouted)
    return app
