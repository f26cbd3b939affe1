"""What a game's author does: ``starwire new``, ``types`` and ``schema``."""

from __future__ import annotations

import re
import string
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from starwire import system
from starwire.cli.loading import AppOption, find_app
from starwire.errors import ConfigurationError
from starwire.schema import declarations, describe

SKELETON = Path(__file__).parent / "skeleton"


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    for command in (new, types, schema):
        app.command()(command)


def new(
    name: Annotated[str, typer.Argument(help="Its folder, made here.", metavar="NAME", show_default=False)],
) -> None:
    """Begin a project: an app, its test, and a README with the commands.

    Example: [cyan]starwire new orchard && cd orchard && starwire serve --dev[/cyan]
    """
    if not re.fullmatch(r"[A-Za-z][\w-]*", name):
        raise ConfigurationError(f"NAME is {name!r}; it must be a letter, then letters, digits, - and _")
    folder = Path(name)
    files = {path.name.removesuffix(".txt"): path for path in sorted(SKELETON.glob("*.txt"))}
    there = [str(folder / file) for file in files if (folder / file).exists()]
    if there:
        raise ConfigurationError(
            f"{', '.join(there)}: exists already, and nothing is overwritten; choose another name"
        )
    folder.mkdir(parents=True, exist_ok=True)
    for file, template in files.items():
        text = string.Template(template.read_text(encoding="utf-8")).substitute(name=name)
        (folder / file).write_text(text, encoding="utf-8")
        print(folder / file)
    print(f"Now: cd {name} && starwire serve --dev")


def types(name: AppOption = None) -> None:
    """Print the TypeScript declarations of an app's commands, views, events and processes.

    Example: [cyan]starwire types --app mygame.main:app > web/mygame.d.ts[/cyan]
    """
    print(declarations(find_app(name).registry(system.module)), end="")


def schema(name: AppOption = None) -> None:
    """Print the JSON Schema of an app's commands, views, events and processes.

    Example: [cyan]starwire schema --app mygame.main:app > schema.json[/cyan]
    """
    described = describe(find_app(name).registry(system.module))
    print(msgspec.json.format(msgspec.json.encode(described), indent=2).decode())
