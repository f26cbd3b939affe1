"""A homestead: a mine that digs, and building it larger takes its time."""

from datetime import timedelta
from pathlib import Path

import msgspec
from sqlalchemy import Column, Float, Integer, MetaData, String, Table, insert, select, update

import starwire
from starwire import Read, Transaction

METAL_AN_HOUR = 60  # for each level of the mine

tables = MetaData()
homes = Table(
    "homes",
    tables,
    Column("player", String, primary_key=True),
    Column("mine", Integer, nullable=False),
    Column("metal", Float, nullable=False),
    Column("counted_at", Float, nullable=False),  # seconds since 1970: metal is what there was then
)
app = starwire.App("homestead", tables=tables, static=Path(__file__).parent / "web")


class Home(msgspec.Struct):
    mine: int = 1
    metal: float = 100.0
    metal_an_hour: int = 0  # a newcomer's mine rests until the first order


def home_of(at: Transaction | Read, player: str) -> Home:
    """A home as it is now. Metal grows by a formula, not by a tick."""
    row = at.db.first(select(homes.c.mine, homes.c.metal, homes.c.counted_at).where(homes.c.player == player))
    if row is None:
        return Home()
    mine, metal, counted_at = row
    hours = (at.now.timestamp() - counted_at) / 3600
    return Home(mine, metal + hours * METAL_AN_HOUR * mine, METAL_AN_HOUR * mine)


def keep(tx: Transaction, player: str, home: Home) -> None:
    values = {"mine": home.mine, "metal": home.metal, "counted_at": tx.now.timestamp()}
    if not tx.db.execute(update(homes).where(homes.c.player == player).values(values)).rowcount:
        tx.db.execute(insert(homes).values(player=player, **values))


class BuildMine(starwire.Command, frozen=True): ...


class Cancel(starwire.Command, frozen=True):
    process: int


class Construction(starwire.Process, frozen=True):
    public = ("level",)  # what a countdown may show; the rest stays on the server

    level: int
    paid: int


class ConstructionComplete(starwire.Event, frozen=True):
    level: int

    def message(self) -> str:
        return f"Your mine is at level {self.level}."


class Look(starwire.View, frozen=True): ...


def cost(level: int) -> int:
    return int(15 * 2**level)


def duration(level: int) -> timedelta:
    return timedelta(minutes=2**level)


@app.command
def build_mine(tx: Transaction, player: str, order: BuildMine) -> starwire.Started:
    if tx.processes(Construction):
        raise starwire.Rejected("busy", "One thing after the other.")
    home = home_of(tx, player)
    level, price = home.mine + 1, cost(home.mine + 1)
    if home.metal < price:
        raise starwire.Rejected(
            "not_enough_metal",
            f"A mine of level {level} needs {price} metal; you have {home.metal:.0f}.",
            need=price,
            have=int(home.metal),
        )
    home.metal -= price
    keep(tx, player, home)
    return tx.start(Construction(level, price), owner=player, due=duration(level))


@app.process
def construction(tx: Transaction, job: Construction) -> None:
    player = tx.process.owner or ""
    home = home_of(tx, player)
    home.mine = job.level
    keep(tx, player, home)
    tx.publish(f"player:{player}", ConstructionComplete(job.level))


@app.command
def cancel(tx: Transaction, player: str, order: Cancel) -> None:
    for each in tx.processes(Construction):
        if each.id == order.process:
            home = home_of(tx, player)
            home.metal += each.data.paid
            keep(tx, player, home)
            tx.cancel(each.id)
            return
    raise starwire.Rejected("not_under_way", "Nothing of that kind is under way.")


@app.view
def look(read: Read, player: str, ask: Look) -> Home:
    read.position(f"player:{player}")
    return home_of(read, player)
