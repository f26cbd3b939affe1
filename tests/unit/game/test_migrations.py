"""The game's migrations make the tables that its code declares."""

from pathlib import Path
from typing import Any

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from herebedragons.app import app
from herebedragons.store import tables
from starwire.store.database import open_sqlite
from starwire.store.migrate import upgrade


def _of_the_game(thing: Any, name: str | None, kind: str, *_: Any) -> bool:
    return kind != "table" or name in tables.tables


def test_the_migrations_make_the_tables_that_the_code_declares(tmp_path: Path) -> None:
    database = open_sqlite(tmp_path / "game.db", durable=False)
    try:
        upgrade(database, app)
        with database.write.begin() as connection:
            context = MigrationContext.configure(
                connection, opts={"include_object": _of_the_game, "compare_type": True}
            )
            assert compare_metadata(context, tables) == []
    finally:
        database.close()


def test_numbers_of_universes_are_never_used_again(tmp_path: Path) -> None:
    database = open_sqlite(tmp_path / "game.db", durable=False)
    try:
        upgrade(database, app)
        with database.read.begin() as connection:
            made = "SELECT sql FROM sqlite_master WHERE name = 'universes'"
            assert "AUTOINCREMENT" in connection.exec_driver_sql(made).scalar_one()
    finally:
        database.close()
