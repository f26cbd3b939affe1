"""What the load plays: planting writes a row of the game and starts a process that is due in hours.

The same work as the peers do: one row, one delayed completion, one reply, one push (``process_started``).
"""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import Column, DateTime, Integer, MetaData, String, Table, insert

import starwire
from starwire import Transaction

tables = MetaData()
plots = Table(
    "garden_plots",
    tables,
    Column("id", Integer, primary_key=True),
    Column("player", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("planted_at", DateTime(timezone=True), nullable=False),
)
app = starwire.App("garden", tables=tables)


class Plant(starwire.Command, frozen=True):
    """Plant a tree that is ripe after so many seconds."""

    seconds: int = 36_000
    kind: str = "apple"


class Ripen(starwire.Process, frozen=True):
    """A tree on its way."""

    public = ("kind",)

    kind: str = "apple"


class Ripe(starwire.Event, frozen=True):
    """A tree has fruit."""

    kind: str


app.event(Ripe)
_plot = insert(plots).inline()  # nobody asks for the id that it gets, so PostgreSQL need not return it


@app.command
def plant(tx: Transaction, player: str, order: Plant) -> starwire.Started:
    """Write the plot, start the process."""
    tx.db.execute(_plot, {"player": player, "kind": order.kind, "planted_at": tx.now})
    return tx.start(Ripen(order.kind), owner=player, due=timedelta(seconds=order.seconds))


@app.process
def ripen(tx: Transaction, job: Ripen) -> None:
    """Tell the player."""
    tx.publish(f"player:{tx.process.owner}", Ripe(job.kind))
