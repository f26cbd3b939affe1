"""A game made of the guarantees: beds with notes in them, and trees that ripen."""

from __future__ import annotations

import time
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Column, Integer, MetaData, String, Table, func, insert, select

import starwire
from starwire import Identity, Read, Started, Transaction
from starwire.errors import Unauthenticated

tables = MetaData()
notes = Table(
    "garden_note",
    tables,
    Column("number", Integer, primary_key=True),
    Column("bed", String, nullable=False),
    Column("text", String, nullable=False),
    Column("at", String, nullable=False),
)


class InBed(starwire.Command, frozen=True, kw_only=True):
    """What is done in a bed; each bed is a key of its own."""

    bed: str = "b"

    def key(self, player: str) -> str:
        return f"bed:{self.bed}"


class Note(InBed, frozen=True):
    text: str
    gate: str = ""
    """A file; the handler goes on when it is gone. The test's way to hold the writer."""


class Spoil(InBed, frozen=True):
    """Writes, starts, publishes and grants; then fails."""

    how: str
    text: str = "spoilt"


class Plant(InBed, frozen=True):
    text: str
    seconds: float = 0
    then: tuple[float, ...] = ()
    fail: int = 0
    refuse: bool = False
    count: int = 1
    unique: str | None = None
    owned: bool = True
    keep: str | None = None
    """Start under this unique name again at completion: recurring work."""


class Send(InBed, frozen=True):
    """Plant in another bed."""

    to: str
    text: str
    seconds: float = 0


class Dig(InBed, frozen=True):
    process: int
    action: str = "cancel"
    seconds: float = 0


class Shout(InBed, frozen=True):
    stream: str
    count: int = 1
    size: int = 0


class Share(starwire.Command, frozen=True):
    player: str
    stream: str
    on: bool = True


class Secret(starwire.Command, frozen=True):
    """For operators."""


class Journal(starwire.View, frozen=True):
    bed: str = "b"


class Blunder(starwire.View, frozen=True):
    """A view that fails, or tries to write."""

    how: str


class Ripen(starwire.Process, frozen=True):
    public = ("text",)

    text: str
    bed: str
    then: tuple[float, ...] = ()
    fail: int = 0
    refuse: bool = False
    keep: str | None = None


class Noted(starwire.Event, frozen=True):
    text: str


class Ripe(starwire.Event, frozen=True):
    text: str


class Shouted(starwire.Event, frozen=True):
    number: int
    filling: str = ""


def wait_at(gate: Path) -> None:
    """A handler that takes long: until the test opens the gate."""
    gate.with_suffix(".reached").touch()
    until = time.monotonic() + 20
    while gate.exists() and time.monotonic() < until:
        time.sleep(0.001)


def write(tx: Transaction, bed: str, text: str) -> int:
    tx.db.execute(insert(notes), {"bed": bed, "text": text, "at": tx.now.isoformat()})
    count: int = tx.db.scalar(select(func.count()).select_from(notes).where(notes.c.bed == bed))
    return count


def note(tx: Transaction, player: str, order: Note) -> int:
    if order.gate:
        wait_at(Path(order.gate))
    tx.publish(f"player:{player}", Noted(order.text))
    return write(tx, order.bed, order.text)


def spoil(tx: Transaction, player: str, order: Spoil) -> Any:  # noqa: C901 - a list of mistakes
    write(tx, order.bed, order.text)
    tx.start(Ripen(order.text, order.bed), owner=player, due=timedelta(0))
    tx.publish(f"player:{player}", Noted(order.text))
    tx.subscribe(player, "secret")
    match order.how:
        case "reject":
            raise starwire.Rejected("spoilt", "It is spoilt.", need=1)
        case "raise":
            raise RuntimeError("a secret of the server")
        case "sql":
            tx.db.execute(insert(notes), {"number": 1, "bed": None})
        case "result":
            return object()
        case "details":
            raise starwire.Rejected("spoilt", "It is spoilt.", what=object())
        case "exit":
            raise SystemExit(3)
        case "commit":
            tx.db.commit()
        case "stream":
            tx.publish(None, Noted("to nobody"))  # type: ignore[arg-type]
        case "surrogate":
            tx.publish("all", Noted("x"), message="\ud800")
        case "far":
            started = tx.start(Ripen("far", order.bed), due=timedelta(days=1))
            tx.reschedule(started.process, timedelta.max)
        case "control":
            tx.publish(f"player:{player}", Subscribed("secret"))
        case "huge":
            return "x" * 2_000_000
    return "not spoilt"


class Subscribed(starwire.Event, frozen=True):
    """An event with the name of one of the framework's own."""

    stream: str
    offset: int = 0


def plant(tx: Transaction, player: str, order: Plant) -> Started:
    started: list[Started] = []
    for number in range(order.count):
        text = order.text if order.count == 1 else f"{order.text}{number}"
        job = Ripen(text, order.bed, order.then, order.fail, order.refuse, order.keep)
        due = timedelta(seconds=order.seconds)
        owner = player if order.owned else None
        started.append(tx.start(job, owner=owner, due=due, unique=order.unique))
    return started[-1]


def send(tx: Transaction, player: str, order: Send) -> Started:
    job = Ripen(order.text, order.to)
    return tx.start(job, owner=player, key=f"bed:{order.to}", due=timedelta(seconds=order.seconds))


def dig(tx: Transaction, player: str, order: Dig) -> bool:
    if order.action == "reschedule":
        return tx.reschedule(order.process, timedelta(seconds=order.seconds))
    act = {"cancel": tx.cancel, "pause": tx.pause, "resume": tx.resume}[order.action]
    done = act(order.process)
    if done:
        write(tx, order.bed, f"{order.action} {order.process}")
    return done


def shout(tx: Transaction, player: str, order: Shout) -> None:
    for number in range(order.count):
        tx.publish(order.stream, Shouted(number, "x" * order.size))


def share(tx: Transaction, player: str, order: Share) -> None:
    (tx.subscribe if order.on else tx.unsubscribe)(order.player, order.stream)


def secret(tx: Transaction, player: str, order: Secret) -> str:
    return "told"


def journal(read: Read, player: str, ask: Journal) -> list[list[str]]:
    read.position(f"player:{player}")
    rows = read.db.execute(
        select(notes.c.text, notes.c.at).where(notes.c.bed == ask.bed).order_by(notes.c.number)
    )
    return [[text, at] for text, at in rows]


def blunder(read: Read, player: str, ask: Blunder) -> int:
    if ask.how == "write":
        read.db.execute(insert(notes), {"bed": "b", "text": "by a view", "at": ""})
    raise RuntimeError("a secret of the server")


def ripen(tx: Transaction, job: Ripen) -> None:
    write(tx, job.bed, job.text)
    stream = f"player:{tx.process.owner}"
    tx.publish(stream, Ripe(job.text))
    if job.refuse:
        raise starwire.Rejected("barren", "Nothing grows here.")
    if tx.process.attempt < job.fail:
        raise RuntimeError(f"attempt {tx.process.attempt}")
    if job.then:
        after = Ripen(f"{job.text}+", job.bed, job.then[1:])
        tx.start(after, owner=tx.process.owner, due=timedelta(seconds=job.then[0]))
    if job.keep is not None:
        again = Ripen(f"{job.text}+", job.bed, keep=job.keep)
        tx.start(again, owner=tx.process.owner, due=timedelta(hours=1), unique=job.keep)


async def authenticate(token: str) -> Identity:
    """A token is ``player``, then ``;name=value`` for what else is known."""
    player, *more = token.split(";")
    facts = dict(each.split("=") for each in more)
    if player in {"", "nobody"}:
        raise Unauthenticated("The token is not one of this server's.")
    if player == "revoked":
        raise Unauthenticated("The session was signed out.", revoked=True)
    return Identity(
        player,
        player.title(),
        claims={"operator": "operator" in facts},
        expires_at=int(facts["expires"]) if "expires" in facts else None,
        session=facts.get("session"),
    )


def ripen_badly(tx: Transaction, job: Ripen) -> None:
    """As ``ripen``, but what it publishes for poison can be written nowhere."""
    ripen(tx, job)
    if job.text == "poison":
        tx.publish("all", Ripe(job.text), message="\ud800")


def build(*, without: frozenset[str] = frozenset(), poison: bool = False) -> starwire.App:
    """The app; ``without`` names processes that this code does not know."""
    app = starwire.App("garden", tables=tables, auth=authenticate)
    for command in (note, spoil, plant, send, dig, shout, share):
        app.command(command)
    app.command(requires="operator")(secret)
    app.view(journal)
    app.view(blunder)
    if "ripen" not in without:
        app.process(ripen_badly if poison else ripen)
    return app
