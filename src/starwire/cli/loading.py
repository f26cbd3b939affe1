"""Finding what a command works on: the settings, and the app by its import string."""

from __future__ import annotations

import os
import sys
from typing import Annotated, Any

import typer

from starwire.config import Settings, load
from starwire.loading import find_app

AppOption = Annotated[
    str | None,
    typer.Option(
        "--app", metavar="MODULE:APP", help="The app; without it, `app` in ./app.py.", show_default=False
    ),
]
DataOption = Annotated[
    str | None,
    typer.Option("--data", metavar="DIR", help="The data folder. [dim]\\[STARWIRE_DATA; .starwire][/dim]"),
]


def settings_from(**overrides: Any) -> Settings:
    """The settings, with a warning on stderr for each variable that is none."""
    settings, warnings = load(os.environ, **overrides)
    for warning in warnings:
        print(f"starwire: {warning}", file=sys.stderr)
    return settings


__all__ = ["AppOption", "DataOption", "find_app", "settings_from"]
