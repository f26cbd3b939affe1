"""An app with a process whose handler ends the OS process that runs it."""

import os
from datetime import timedelta

import starwire

app = starwire.App("deadly")


class Tempt(starwire.Command, frozen=True):
    """Start what kills."""


class Bite(starwire.Process, frozen=True):
    """Kills whoever completes it."""


@app.command
def tempt(tx: starwire.Transaction, player: str, order: Tempt) -> starwire.Started:
    """In a moment."""
    return tx.start(Bite(), owner=player, due=timedelta(milliseconds=50))


@app.process
def bite(tx: starwire.Transaction, job: Bite) -> None:
    """Now."""
    os._exit(9)
