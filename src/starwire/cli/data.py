"""What concerns the database: ``starwire migrate``, ``check`` and ``inspect``."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.table import Table as Grid
from sqlalchemy import Connection, func, select

from starwire import system
from starwire.app import Registry
from starwire.cli.loading import AppOption, DataOption, find_app, settings_from
from starwire.cli.running import running_server
from starwire.clock import isoformat
from starwire.config import Settings
from starwire.errors import ConfigurationError
from starwire.store import migrate as migrations
from starwire.store import tables
from starwire.store.database import open_sqlite

STREAMS_SHOWN = 10


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    for command in (migrate, check, inspect):
        app.command()(command)


def migrate(
    name: AppOption = None,
    data: DataOption = None,
    new: Annotated[
        str | None, typer.Option("--new", metavar="MESSAGE", help="Write a revision for the app's tables.")
    ] = None,
    adopt: Annotated[
        bool,
        typer.Option("--adopt", help="Take tables that --dev has made for those of the newest revision."),
    ] = False,
) -> None:
    """Bring the database to the schema of this code; a server does so by itself when it starts.

    Example, after a change of App.tables: [cyan]starwire migrate --new "trees have colours"[/cyan]
    """
    from starwire.engines.folder import lock_data_folder  # noqa: PLC0415 -- slow to import

    settings = settings_from(data=data)
    app = find_app(name)
    with lock_data_folder(settings.data, settings.lock_file):
        database = open_sqlite(settings.sqlite)
        try:
            if new is not None:
                print(migrations.new_revision(database, app, new))
                return
            if adopt:
                migrations.adopt(database, app)
            migrations.upgrade(database, app, dev=settings.dev)
        finally:
            database.close()
    print(f"{settings.sqlite} is at the newest revision.")


def check(name: AppOption = None, data: DataOption = None) -> None:
    """Read every pending process with this code, before it is deployed; exit code 1 names those it cannot.

    Example: [cyan]starwire check --app mygame.main:app --data /srv/mygame[/cyan]
    """
    settings = settings_from(data=data)
    registry = find_app(name).registry(system.module)
    with _reading(settings) as connection:
        count, failures = _decode_all(connection, registry)
    for failure in failures:
        print(failure)
    if failures:
        print(f"{len(failures)} of {count} pending processes cannot be read by this code.")
        raise typer.Exit(1)
    print(f"All {count} pending processes can be read by this code.")


def inspect(data: DataOption = None) -> None:
    """Show what is in the database, also while a server runs on it.

    Example: [cyan]starwire inspect --data ~/dragons[/cyan]
    """
    settings = settings_from(data=data)
    console = Console(highlight=False)
    facts = Grid.grid(padding=(0, 2))
    server = running_server(settings)
    facts.add_row(
        "server", "none is running" if server is None else f"{server.url} (OS process {server.pid})"
    )
    with _reading(settings) as connection:
        _add_facts(facts, connection, settings)
        pending = _pending(connection)
        streams = _streams(connection)
    for part in (facts, pending, streams):
        console.print(part)


@contextmanager
def _reading(settings: Settings) -> Iterator[Connection]:
    """One snapshot of a database that exists, which nothing here can change.

    Raises:
        ConfigurationError: there is none, or it is of another version.
    """
    if not settings.sqlite.is_file():
        raise ConfigurationError(
            f"STARWIRE_DATA: there is no database in {settings.data}; name it with --data"
        )
    database = open_sqlite(settings.sqlite, readers=1)
    try:
        with database.read.begin() as connection:
            if not migrations.is_current(connection, migrations.framework_branch()):
                raise ConfigurationError(
                    f"the database in {settings.data} is older than this code; run `starwire migrate`"
                )
            yield connection
    finally:
        database.close()


def _decode_all(connection: Connection, registry: Registry) -> tuple[int, list[str]]:
    """How many processes there are, and a line for each that this code cannot read."""
    c = tables.process.c
    rows = connection.execute(select(c.id, c.kind, c.version, c.key, c.data).order_by(c.id))
    count, failures = 0, []
    for id, kind, version, key, data in rows:
        count += 1
        known = registry.processes.get(kind)
        reason = "this code knows no such kind" if known is None else None
        if known is not None:
            try:
                known.decode(data, version)
            except (msgspec.MsgspecError, ConfigurationError) as error:
                reason = str(error)
            except Exception as error:  # noqa: BLE001 -- an upgrade of the game's own
                reason = f"its upgrade raised {type(error).__name__}: {error}"
        if reason is not None:
            failures.append(f"process {id}: {kind} version {version} of {key}: {reason}")
    return count, failures


def _add_facts(facts: Grid, connection: Connection, settings: Settings) -> None:
    now = time.time_ns() // 1000
    run_at = tables.process.c.run_at
    due = connection.scalar(select(func.min(run_at)).where(tables.process.c.state != "paused"))
    accounts, registered = connection.execute(
        select(func.count(), func.count(tables.account.c.login)).select_from(tables.account)
    ).one()
    live = tables.session.c.expires_at > now
    sessions = connection.scalar(select(func.count()).select_from(tables.session).where(live))
    events = connection.scalar(select(func.coalesce(func.sum(tables.stream.c.head), 0)))
    facts.add_row("database", str(settings.sqlite))
    if due is None:
        facts.add_row("next due", "nothing is pending")
    elif due > now:
        facts.add_row("next due", f"{isoformat(due)}, in {_duration(due - now)}")
    else:
        facts.add_row("lateness", f"{_duration(now - due)}, since {isoformat(due)}")
    facts.add_row("accounts", f"{accounts}, {registered} with a name and a password")
    facts.add_row("sessions", f"{sessions} live")
    facts.add_row("events", f"{events} were published")


def _pending(connection: Connection) -> Grid:
    c = tables.process.c
    grid = Grid("pending process", "state", "count", "next", title_justify="left")
    grouped = select(c.kind, c.state, func.count(), func.min(c.run_at)).group_by(c.kind, c.state)
    for kind, state, count, first in connection.execute(grouped.order_by(c.kind, c.state)):
        grid.add_row(kind, state, str(count), isoformat(first))
    return grid


def _streams(connection: Connection) -> Grid:
    c = tables.stream.c
    grid = Grid("stream (the longest)", "head", "kept from")
    longest = select(c.name, c.head, c.pruned).order_by(c.head.desc(), c.name).limit(STREAMS_SHOWN)
    for name, head, pruned in connection.execute(longest):
        grid.add_row(name, str(head), str(pruned + 1))
    return grid


def _duration(micros: int) -> str:
    return str(timedelta(seconds=round(micros / 1e6)))
