"""An orchard: plant a tree, and its apples ripen whether or not anybody is there."""

from datetime import timedelta

from sqlalchemy import Column, Integer, MetaData, String, Table, insert, select, update

import starwire
from starwire import Read, Transaction

tables = MetaData()
trees = Table("trees", tables, Column("player", String, primary_key=True), Column("apples", Integer))
app = starwire.App("orchard", tables=tables)


class Plant(starwire.Command, frozen=True):  # a msgspec struct; its name on the wire is "plant"
    seconds: int = 60


class Ripen(starwire.Process, frozen=True): ...


class Ripe(starwire.Event, frozen=True):
    apples: int


class Look(starwire.View, frozen=True): ...


@app.command
def plant(tx: Transaction, player: str, order: Plant) -> starwire.Started:
    if order.seconds < 1:
        raise starwire.Rejected("too_fast", "A tree needs at least a second.", need=1)
    return tx.start(Ripen(), owner=player, due=timedelta(seconds=order.seconds))


@app.process
def ripen(tx: Transaction, job: Ripen) -> None:
    apples = harvest(tx, tx.process.owner)  # your own SQL, same transaction
    tx.publish(f"player:{tx.process.owner}", Ripe(apples))


@app.view
def look(read: Read, player: str, ask: Look) -> int:
    return read.db.scalar(select(trees.c.apples).where(trees.c.player == player)) or 0


def harvest(tx: Transaction, player: str | None) -> int:
    mine = trees.c.player == player
    apples: int | None = tx.db.scalar(select(trees.c.apples).where(mine))
    if apples is None:
        tx.db.execute(insert(trees).values(player=player, apples=3))
        return 3
    tx.db.execute(update(trees).where(mine).values(apples=apples + 3))
    return apples + 3
