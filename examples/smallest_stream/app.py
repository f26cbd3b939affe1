"""The smallest stream: who has entered the square hears what is said there, on the page or in a terminal."""

from pathlib import Path

import starwire
from starwire import Transaction

app = starwire.App("smallest_stream", static=Path(__file__).parent / "web")


class InSquare(starwire.Command, frozen=True):
    def key(self, player: str) -> str:
        return "square"  # what is said here has one order


class Enter(InSquare, frozen=True): ...


class Say(InSquare, frozen=True):
    text: str


class Said(starwire.Event, frozen=True):
    player: str
    text: str


@app.command
def enter(tx: Transaction, player: str, order: Enter) -> None:
    tx.subscribe(player, "square")


@app.command
def say(tx: Transaction, player: str, order: Say) -> None:
    tx.publish("square", Said(player, order.text))
