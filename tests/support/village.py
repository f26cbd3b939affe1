"""A small app for tests that need a whole server: `starwire serve --app tests.support.village:app --dev`."""

from datetime import timedelta
from typing import Literal

from sqlalchemy import Column, Integer, MetaData, String, Table, insert, select, update

import starwire

tables = MetaData()
trees = Table("trees", tables, Column("player", String, primary_key=True), Column("apples", Integer))
app = starwire.App("village", tables=tables)


class Plant(starwire.Command, frozen=True):
    seconds: float = 60
    kind: Literal["apple", "pear"] = "apple"


class Fell(starwire.Command, frozen=True):
    tree: int


class Join(starwire.Command, frozen=True):
    village: str


class Tell(starwire.Command, frozen=True):
    village: str
    number: int

    def key(self, player: str) -> str:
        return f"village:{self.village}"


class Ripen(starwire.Process, frozen=True):
    public = ("kind",)

    kind: str = "apple"


class Ripe(starwire.Event, frozen=True):
    apples: int


class Told(starwire.Event, frozen=True):
    number: int


class Look(starwire.View, frozen=True):
    pass


app.event(Ripe)
app.event(Told)


@app.command
def plant(tx: starwire.Transaction, player: str, order: Plant) -> starwire.Started:
    """Plant a tree; it is ripe after so many seconds."""
    if order.seconds <= 0:
        raise starwire.Rejected("too_fast", "A tree needs a moment.", need=1)
    return tx.start(Ripen(order.kind), owner=player, due=timedelta(seconds=order.seconds))


@app.command
def fell(tx: starwire.Transaction, player: str, order: Fell) -> bool:
    """Fell a tree before it is ripe."""
    return tx.cancel(order.tree)


@app.command
def join(tx: starwire.Transaction, player: str, order: Join) -> None:
    """Hear what is told in a village."""
    tx.subscribe(player, f"village:{order.village}")


@app.command
def tell(tx: starwire.Transaction, player: str, order: Tell) -> int:
    """Tell a village a number."""
    tx.publish(f"village:{order.village}", Told(order.number))
    return order.number


@app.process
def ripen(tx: starwire.Transaction, job: Ripen) -> None:
    """Three apples more."""
    owner = tx.process.owner or ""
    apples = tx.db.scalar(select(trees.c.apples).where(trees.c.player == owner))
    if apples is None:
        tx.db.execute(insert(trees).values(player=owner, apples=3))
    else:
        tx.db.execute(update(trees).where(trees.c.player == owner).values(apples=apples + 3))
    tx.publish(f"player:{owner}", Ripe((apples or 0) + 3), message="Apples are ripe.")


@app.view
def look(read: starwire.Read, player: str, ask: Look) -> int:
    """How many apples there are."""
    read.position(f"player:{player}")
    return read.db.scalar(select(trees.c.apples).where(trees.c.player == player)) or 0
