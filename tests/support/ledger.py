"""An app whose every effect can be counted: `starwire serve --app tests.support.ledger:app`.

A command leaves one line for each time that it was carried out, and one event; a process leaves one line when
it is done. Nothing here keeps a line from being there twice: that is the framework's promise.
"""

from datetime import timedelta

from sqlalchemy import Column, Float, Integer, MetaData, String, Table, func, insert, select

import starwire

LONGEST_SECONDS = 86_400.0

tables = MetaData()
lines = Table(
    "lines",
    tables,
    Column("line", Integer, primary_key=True, autoincrement=True),
    Column("player", String, nullable=False),
    Column("command", String, nullable=False),
    Column("mark", String, nullable=False),
    Column("seconds", Float),
)
app = starwire.App("ledger", tables=tables)


class Enter(starwire.Command, frozen=True):
    """Hear what is told in a room."""

    room: int

    def key(self, player: str) -> str:
        return f"room:{self.room}"


class Write(starwire.Command, frozen=True):
    """One line of one's own; with `seconds`, a second one when the ink is dry."""

    mark: str
    seconds: float | None = None


class Tell(starwire.Command, frozen=True):
    """One line, told to a room; `bytes` of padding make it long."""

    mark: str
    room: int
    bytes: int = 0

    def key(self, player: str) -> str:
        return f"room:{self.room}"


class Spoil(starwire.Command, frozen=True):
    """Write a line, tell it, and then refuse: nothing of it may be left."""

    mark: str


class Dry(starwire.Process, frozen=True):
    public = ("mark",)

    mark: str


class Written(starwire.Event, frozen=True):
    mark: str


class Told(starwire.Event, frozen=True):
    player: str
    mark: str
    padding: str


class Dried(starwire.Event, frozen=True):
    mark: str


class Count(starwire.View, frozen=True):
    """How many lines a player has."""


for event in (Written, Told, Dried):
    app.event(event)


def add(tx: starwire.Transaction, player: str, command: str, mark: str, seconds: float | None = None) -> None:
    tx.db.execute(insert(lines).values(player=player, command=command, mark=mark, seconds=seconds))


@app.command
def enter(tx: starwire.Transaction, player: str, order: Enter) -> None:
    """Hear a room from now on."""
    tx.subscribe(player, f"room:{order.room}")


@app.command
def write(tx: starwire.Transaction, player: str, order: Write) -> str:
    """Write one line."""
    if order.seconds is not None and not 0 <= order.seconds <= LONGEST_SECONDS:
        raise starwire.Rejected("too_long", "Ink dries within a day.")
    add(tx, player, "write", order.mark, order.seconds)
    tx.publish(f"player:{player}", Written(order.mark))
    if order.seconds is not None:
        tx.start(Dry(order.mark), owner=player, due=timedelta(seconds=order.seconds))
    return order.mark


@app.command
def tell(tx: starwire.Transaction, player: str, order: Tell) -> str:
    """Write one line for everybody in a room."""
    add(tx, player, "tell", order.mark)
    tx.publish(f"room:{order.room}", Told(player, order.mark, "." * order.bytes))
    return order.mark


@app.command
def spoil(tx: starwire.Transaction, player: str, order: Spoil) -> None:
    """Refuse what was just done."""
    add(tx, player, "spoil", order.mark)
    tx.publish(f"player:{player}", Written(order.mark))
    raise starwire.Rejected("spoilt", "The ink ran over the line.")


@app.process
def dry(tx: starwire.Transaction, job: Dry) -> None:
    """The second line."""
    owner = tx.process.owner or ""
    add(tx, owner, "dry", job.mark)
    tx.publish(f"player:{owner}", Dried(job.mark))


@app.view
def count(read: starwire.Read, player: str, ask: Count) -> int:
    """How many lines there are."""
    read.position(f"player:{player}")
    number: int = read.db.scalar(select(func.count()).select_from(lines).where(lines.c.player == player))
    return number
