"""What concerns the database: ``starwire migrate`` and ``check``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import msgspec
import typer
from sqlalchemy import Connection, select

from starwire import system
from starwire.app import Registry
from starwire.cli.loading import AppOption, DataOption, find_app, settings_from
from starwire.cli.running import reading, with_cluster
from starwire.config import Settings, without_password
from starwire.errors import ConfigurationError
from starwire.store import migrate as migrations
from starwire.store import tables
from starwire.store.database import Database, open_sqlite


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    for command in (migrate, check):
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
    settings = with_cluster(settings_from(data=data))
    app = find_app(name)
    with _writable(settings) as database:
        if new is not None:
            print(migrations.new_revision(database, app, new))
            return
        if adopt:
            migrations.adopt(database, app)
        migrations.upgrade(database, app, dev=settings.dev, partitions=settings.partitions)
    where = settings.sqlite if settings.database is None else without_password(settings.database)
    print(f"{where} is at the newest revision.")


@contextmanager
def _writable(settings: Settings) -> Iterator[Database]:
    """The database, made when it is missing; one of SQLite's while no server runs on it."""
    if settings.database is not None:
        from starwire.store.postgres import open_postgres  # noqa: PLC0415 -- an extra

        database = open_postgres(settings.database, settings.limits)
        try:
            yield database
        finally:
            database.close()
        return
    from starwire.engines.folder import lock_data_folder  # noqa: PLC0415 -- slow to import

    with lock_data_folder(settings.data, settings.lock_file):
        database = open_sqlite(settings.sqlite)
        try:
            yield database
        finally:
            database.close()


def check(name: AppOption = None, data: DataOption = None) -> None:
    """Read every pending process with this code, before it is deployed; exit code 1 names those it cannot.

    Example: [cyan]starwire check --app mygame.main:app --data /srv/mygame[/cyan]
    """
    settings = settings_from(data=data)
    registry = find_app(name).registry(system.module)
    with reading(settings) as connection:
        count, failures = _decode_all(connection, registry)
    for failure in failures:
        print(failure)
    if failures:
        print(f"{len(failures)} of {count} pending processes cannot be read by this code.")
        raise typer.Exit(1)
    print(f"All {count} pending processes can be read by this code.")


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
