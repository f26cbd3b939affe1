"""Bringing a database to the schema of this code: the framework's branch first, then the game's own.

Each branch is a folder of Alembic revisions with a version table of its own (``starwire_version`` and
``<app>_version``). Everything runs in one transaction of the writer, so that a migration that fails leaves
the database as it was, and two servers that start at once take turns. A database that is at its heads
already costs two queries and a look at the folders' files: Alembic is not even imported.

Not done here: going back. A database that is newer than this code is refused, never touched.
"""

from __future__ import annotations

import ast
import importlib.util
import re
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, MetaData, inspect, text

from starwire.app import App
from starwire.errors import ConfigurationError
from starwire.store import tables
from starwire.store.database import Database, read_facts, stored_facts

OURS = Path(__file__).parent / "migrations"
PREFIX = "starwire_"
MIGRATION_LOCK = 0x57415257  # any number that nobody else uses


@dataclass(frozen=True)
class Branch:
    """One line of migrations: where its revisions lie, and which tables are its own."""

    name: str
    folder: Path
    version_table: str
    metadata: MetaData
    include_name: Callable[[str | None, str, Any], bool]

    @cached_property
    def revisions(self) -> dict[str, tuple[str, ...]]:
        """Revision → those it follows, read from the files without importing them."""
        return dict(
            _revision(path) for path in sorted(self.folder.glob("*.py")) if path.name != "__init__.py"
        )

    @property
    def heads(self) -> frozenset[str]:
        """The newest revisions."""
        followed = {parent for parents in self.revisions.values() for parent in parents}
        return frozenset(self.revisions) - followed


def framework_branch() -> Branch:
    """The framework's own migrations."""

    def include_name(name: str | None, kind: str, _: Any) -> bool:
        return kind != "table" or str(name).startswith(PREFIX)

    return Branch("starwire", OURS / "versions", "starwire_version", tables.metadata, include_name)


def app_branch(app: App) -> Branch | None:
    """The game's migrations, from ``App(migrations="package:folder")``; None when it has none.

    Raises:
        ConfigurationError: the package or the folder does not exist.
    """
    if app.migrations is None:
        return None

    def include_name(name: str | None, kind: str, _: Any) -> bool:
        return kind != "table" or not str(name).startswith(PREFIX)

    folder = migrations_folder(app)
    versions = folder / "versions" if (folder / "versions").is_dir() else folder
    if not versions.is_dir():
        raise ConfigurationError(
            f"App({app.name!r}, migrations={app.migrations!r}): there is no folder {folder};"
            ' make the first revision with `starwire migrate --new "first tables"`'
        )
    return Branch(app.name, versions, version_table_of(app), app.tables or MetaData(), include_name)


def migrations_folder(app: App) -> Path:
    """Where ``App(migrations=…)`` points to; the folder itself need not exist.

    Raises:
        ConfigurationError: it is not ``package:folder``, or there is no such package.
    """
    package, colon, folder = (app.migrations or "").partition(":")
    if not (package and colon and folder):
        raise ConfigurationError(
            f'App({app.name!r}, migrations={app.migrations!r}): write "package:folder",'
            ' for example "mygame:migrations"'
        )
    try:
        spec = importlib.util.find_spec(package)
    except (ImportError, ValueError):
        spec = None
    if spec is None:
        raise ConfigurationError(
            f"App({app.name!r}, migrations={app.migrations!r}): no package {package!r} is importable"
        )
    if spec.submodule_search_locations:
        return Path(next(iter(spec.submodule_search_locations))) / folder
    return Path(spec.origin or "").parent / folder


def version_table_of(app: App) -> str:
    """The name of the table that remembers the game's revision."""
    return re.sub(r"\W+", "_", app.name.lower()).strip("_") + "_version"


def upgrade(database: Database, app: App | None = None, *, dev: bool = False, partitions: int = 16) -> None:
    """Bring the database to the schema of this code, in one transaction.

    Args:
        database: the framework's tables and the game's live in it side by side.
        app: the game whose branch runs after ours; None: ours only.
        dev: create the game's missing tables when it has no migrations.
        partitions: how many a database that is made now has, for ever.

    Raises:
        ConfigurationError: the schema is newer than this code, or was not made by these migrations, or
            tables of the game are missing and nothing here may create them.
    """
    branches = [framework_branch()]
    game = None if app is None else app_branch(app)
    if game is not None:
        branches.append(game)
    with database.read.begin() as connection:
        behind = [branch for branch in branches if not is_current(connection, branch)]
    if behind:
        with _transaction(database) as connection:
            for branch in behind:
                # Another server may have been faster while we waited for the lock.
                if not is_current(connection, branch):
                    _upgrade(connection, branch)
    with database.read.begin() as connection:
        made = stored_facts(connection)
    if made is None:
        with _transaction(database) as connection:
            read_facts(connection, partitions=partitions)
    if app is not None and app.tables is not None:
        _ensure_tables(database, app, app.tables, may_create=dev and game is None)


def is_current(connection: Connection, branch: Branch) -> bool:
    """Whether the database is at the heads of this branch.

    Raises:
        ConfigurationError: the database knows a revision that this code does not.
    """
    found = stored_revisions(connection, branch.version_table)
    unknown = sorted(found - set(branch.revisions))
    if unknown:
        raise ConfigurationError(
            f"the database is at revision {', '.join(unknown)} of {branch.name!r}, which this code does not"
            f" know (its newest is {', '.join(sorted(branch.heads)) or 'none'}): start the newer version,"
            f" or {_another(connection)}"
        )
    return bool(found) and found == branch.heads


def stored_revisions(connection: Connection, version_table: str) -> frozenset[str]:
    """The revisions at which the database is; none when it never was migrated."""
    if not inspect(connection).has_table(version_table):
        return frozenset()
    # The name is made of word characters only, and quoted because it may begin with a digit.
    rows = connection.execute(text(f'SELECT version_num FROM "{version_table}"'))  # noqa: S608
    return frozenset(row[0] for row in rows)


def new_revision(database: Database, app: App, message: str) -> Path:
    """Write a revision for the game's branch: what ``App.tables`` has and the database has not.

    Raises:
        ConfigurationError: the app names no migrations, or its branch cannot be brought to its head first.
    """
    if app.migrations is None:
        raise ConfigurationError(
            f"App({app.name!r}) names no migrations: write"
            f' App({app.name!r}, tables=…, migrations="package:folder")'
        )
    (migrations_folder(app) / "versions").mkdir(parents=True, exist_ok=True)
    branch = app_branch(app)
    assert branch is not None  # noqa: S101 -- it names migrations
    with _transaction(database) as connection:
        for each in (framework_branch(), branch):
            if each.revisions and not is_current(connection, each):
                _upgrade(connection, each)
        from alembic import command  # noqa: PLC0415 -- half a second that a server which is current never spends

        number = f"{len(branch.revisions) + 1:04}"
        script = command.revision(_config(connection, branch), message, autogenerate=True, rev_id=number)
    path = getattr(script, "path", None)
    if path is None:
        raise ConfigurationError(f"no revision was written below {branch.folder}")
    return Path(path)


def adopt(database: Database, app: App) -> None:
    """Take the game's tables as they stand for those of its newest revision, without running anything.

    For tables that ``--dev`` has created before the game had migrations.
    """
    branch = app_branch(app)
    if branch is None:
        raise ConfigurationError(f"App({app.name!r}) names no migrations, so there is nothing to adopt")
    with _transaction(database) as connection:
        from alembic import command  # noqa: PLC0415 -- see new_revision

        command.stamp(_config(connection, branch), "heads")


@contextmanager
def _transaction(database: Database) -> Iterator[Connection]:
    """A transaction of the writer in which SQLite may rebuild tables that others refer to."""
    with database.write.connect() as connection:
        sqlite = database.statements.dialect.name == "sqlite"
        raw: Any = connection.connection.dbapi_connection
        if sqlite:
            raw.execute("PRAGMA foreign_keys=OFF")  # only has an effect outside a transaction
        try:
            with connection.begin():
                if not sqlite:  # ten servers that start at once take turns, however long it takes
                    connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
                    connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({MIGRATION_LOCK})")
                yield connection
                if sqlite and (broken := connection.execute(text("PRAGMA foreign_key_check")).first()):
                    raise ConfigurationError(f"a migration left rows of {broken[0]!r} that refer to nothing")
        finally:
            if sqlite:
                raw.execute("PRAGMA foreign_keys=ON")


def _upgrade(connection: Connection, branch: Branch) -> None:
    if not branch.revisions:
        return
    if not stored_revisions(connection, branch.version_table):
        _refuse_foreign_tables(connection, branch)
    from alembic import command  # noqa: PLC0415 -- see new_revision

    command.upgrade(_config(connection, branch), "heads")


def _refuse_foreign_tables(connection: Connection, branch: Branch) -> None:
    present = set(inspect(connection).get_table_names())
    strangers = sorted(present & set(branch.metadata.tables))
    if strangers:
        way_out = (
            f"this is no database of Starwire's; {_another(connection)}"
            if branch.name == "starwire"
            else "were they made by --dev? Then `starwire migrate --adopt` takes them as they are"
        )
        raise ConfigurationError(
            f"the database has a table {strangers[0]!r} but no {branch.version_table!r}: {way_out}"
        )


def _another(connection: Connection) -> str:
    if connection.dialect.name == "sqlite":
        return "point STARWIRE_DATA at another folder"
    return "point STARWIRE_DATABASE at another database"


def _config(connection: Connection, branch: Branch) -> Any:
    from alembic.config import Config  # noqa: PLC0415 -- see new_revision

    config = Config(cmd_opts=Namespace(quiet=True, x=[]))
    config.set_main_option("script_location", _escaped(OURS))
    config.set_main_option("path_separator", "newline")
    config.set_main_option("version_locations", _escaped(branch.folder))
    config.set_main_option("file_template", "%%(rev)s_%%(slug)s")
    config.attributes.update(
        connection=connection,
        metadata=branch.metadata,
        version_table=branch.version_table,
        include_name=branch.include_name,
    )
    return config


def _escaped(path: Path) -> str:
    return str(path).replace("%", "%%")


def _ensure_tables(database: Database, app: App, metadata: MetaData, *, may_create: bool) -> None:
    with database.read.begin() as connection:
        lacking = _lacking(connection, metadata)
    if lacking and may_create:
        with _transaction(database) as connection:
            metadata.create_all(connection)
        with database.read.begin() as connection:
            lacking = _lacking(connection, metadata)
    if not lacking:
        return
    if app.migrations is not None:
        way_out = 'write a migration with `starwire migrate --new "what changed"`'
    elif may_create:
        way_out = (
            "--dev creates tables but changes none: add migrations, or start with an empty STARWIRE_DATA"
        )
    else:
        way_out = (
            'run with --dev to have it created, or give the app migrations: App(migrations="package:folder")'
        )
    raise ConfigurationError(f"App({app.name!r}): the database lacks {lacking[0]}; {way_out}")


def _lacking(connection: Connection, metadata: MetaData) -> list[str]:
    """What the metadata has and the database has not: tables, and columns of tables that are there."""
    inspector = inspect(connection)
    present = set(inspector.get_table_names())
    lacking = []
    for table in metadata.sorted_tables:
        if table.name not in present:
            lacking.append(f"the table {table.name!r}")
            continue
        columns = {column["name"] for column in inspector.get_columns(table.name)}
        lacking += [
            f"the column {table.name}.{column.name}" for column in table.columns if column.name not in columns
        ]
    return lacking


def _revision(path: Path) -> tuple[str, tuple[str, ...]]:
    """Read ``revision`` and ``down_revision`` from a migration's source."""
    found: dict[str, Any] = {}
    for node in ast.parse(path.read_text(encoding="utf-8"), filename=str(path)).body:
        targets: list[ast.expr] = []
        value: ast.expr | None = None
        if isinstance(node, ast.Assign):
            targets, value = node.targets, node.value
        elif isinstance(node, ast.AnnAssign):
            targets, value = [node.target], node.value
        for target in targets:
            if isinstance(target, ast.Name) and target.id in ("revision", "down_revision") and value:
                found[target.id] = ast.literal_eval(value)
    if not isinstance(found.get("revision"), str):
        raise ConfigurationError(f'{path}: a migration needs a line `revision = "…"`')
    parents = found.get("down_revision") or ()
    return found["revision"], (parents,) if isinstance(parents, str) else tuple(parents)
