"""Migrations build what `store/tables.py` says, for us and for a game, and refuse what they did not make."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Column, Integer, MetaData, String, Table, inspect, text

import starwire
from starwire.errors import ConfigurationError
from starwire.store import migrate, tables
from starwire.store.database import Database, open_sqlite


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = open_sqlite(tmp_path / "starwire.sqlite3", durable=False)
    yield opened
    opened.close()


def schema(database: Database) -> dict[str, str]:
    """Name → normalised SQL of every table and index."""
    with database.read.begin() as connection:
        rows = connection.execute(text("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL"))
        return {
            name: "".join(sql.split()).replace('"', "") for name, sql in rows if name != "starwire_version"
        }


def orchard(*columns: Column[str], migrations: str | None = None) -> starwire.App:
    metadata = MetaData()
    Table("trees", metadata, Column("player", String, primary_key=True), Column("apples", Integer), *columns)
    return starwire.App("Orchard", tables=metadata, migrations=migrations)


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The name of an importable package without migrations."""
    name = f"orchard_{tmp_path.name.replace('-', '_')}"
    (tmp_path / name).mkdir()
    (tmp_path / name / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield name
    sys.modules.pop(name, None)


def columns_of(database: Database, table: str) -> set[str]:
    return {column["name"] for column in inspect(database.read).get_columns(table)}


def test_the_migrations_build_exactly_the_tables_of_the_code(tmp_path: Path, database: Database) -> None:
    migrate.upgrade(database)
    created = open_sqlite(tmp_path / "created.sqlite3", durable=False)
    tables.metadata.create_all(created.write)
    assert schema(database) == schema(created)
    created.close()


def test_autogenerate_finds_nothing_to_migrate(database: Database) -> None:
    migrate.upgrade(database)
    with database.read.connect() as connection:
        options = {"version_table": "starwire_version", "compare_type": True, "compare_server_default": True}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, tables.metadata) == []


def test_upgrading_twice_changes_nothing_the_second_time(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    migrate.upgrade(database)
    before = schema(database)
    monkeypatch.setattr(migrate, "_config", None)  # what Alembic would be called with
    migrate.upgrade(database)
    assert schema(database) == before


def test_a_database_of_a_newer_version_is_refused_in_one_line(database: Database) -> None:
    migrate.upgrade(database)
    with database.write.begin() as connection:
        connection.execute(text("UPDATE starwire_version SET version_num = '9999'"))
    with pytest.raises(ConfigurationError, match=r"^[^\n]*9999[^\n]*does not know[^\n]*STARWIRE_DATA[^\n]*$"):
        migrate.upgrade(database)


def test_tables_that_no_migration_made_are_refused(database: Database) -> None:
    with database.write.begin() as connection:
        tables.account.create(connection)
    with pytest.raises(ConfigurationError, match="'starwire_account' but no 'starwire_version'"):
        migrate.upgrade(database)


def test_a_games_tables_are_created_under_dev(database: Database) -> None:
    migrate.upgrade(database, orchard(), dev=True)
    assert columns_of(database, "trees") == {"player", "apples"}


def test_without_dev_a_missing_table_is_an_error_that_says_what_to_do(database: Database) -> None:
    with pytest.raises(ConfigurationError, match=r"lacks the table 'trees'; run with --dev .* migrations"):
        migrate.upgrade(database, orchard())


def test_dev_names_a_column_that_it_cannot_add(database: Database) -> None:
    migrate.upgrade(database, orchard(), dev=True)
    with pytest.raises(ConfigurationError, match=r"lacks the column trees.colour; --dev creates tables"):
        migrate.upgrade(database, orchard(Column("colour", String)), dev=True)


def test_a_games_own_branch_is_written_and_run_beside_ours(database: Database, package: str) -> None:
    app = orchard(migrations=f"{package}:migrations")
    first = migrate.new_revision(database, app, "first tables")
    assert first.name == "0001_first_tables.py"
    assert "starwire_" not in first.read_text()
    migrate.upgrade(database, app)
    assert columns_of(database, "trees") == {"player", "apples"}
    wider = orchard(Column("colour", String), migrations=f"{package}:migrations")
    second = migrate.new_revision(database, wider, "Colours!")
    assert second.name == "0002_colours.py"
    assert "drop_table" not in second.read_text()
    migrate.upgrade(database, wider)
    assert columns_of(database, "trees") == {"player", "apples", "colour"}
    with database.read.connect() as connection:
        assert migrate.stored_revisions(connection, "orchard_version") == {"0002"}


def test_tables_that_dev_made_can_be_adopted_by_the_first_migration(database: Database, package: str) -> None:
    migrate.upgrade(database, orchard(), dev=True)
    app = orchard(migrations=f"{package}:migrations")
    other = open_sqlite(Path(str(database.write.url.database)).with_name("other.sqlite3"), durable=False)
    migrate.new_revision(other, app, "first tables")
    other.close()
    with pytest.raises(ConfigurationError, match="starwire migrate --adopt"):
        migrate.upgrade(database, app)
    migrate.adopt(database, app)
    migrate.upgrade(database, app)


def test_a_migration_that_fails_leaves_nothing_behind(database: Database, package: str) -> None:
    app = orchard(migrations=f"{package}:migrations")
    path = migrate.new_revision(database, app, "first tables")
    path.write_text(
        path.read_text().replace("def downgrade", "    raise RuntimeError('half way')\n\ndef downgrade")
    )
    with pytest.raises(RuntimeError, match="half way"):
        migrate.upgrade(database, app)
    assert "trees" not in inspect(database.read).get_table_names()


@pytest.mark.parametrize(
    ("migrations", "complaint"),
    [("orchard", 'write "package:folder"'), ("no_such_orchard:migrations", "importable")],
)
def test_where_the_migrations_lie_is_checked(database: Database, migrations: str, complaint: str) -> None:
    with pytest.raises(ConfigurationError, match=complaint):
        migrate.upgrade(database, orchard(migrations=migrations))
