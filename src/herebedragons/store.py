"""The game's tables. Every row but a universe's own belongs to one universe and is found through it.

Numbers of planets, stars and constructions count within their universe, so that nothing is shared between
universes and a number from another universe finds nothing. A planet's resources are kept as they were at
`at`; `rules.Stock` says what they are at any other time. What is under way is not kept here a second time:
the framework's processes say it, and a construction names its own.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from sqlalchemy import (
    BigInteger,
    Column,
    Executable,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Moment(TypeDecorator[datetime]):
    """A UTC time, kept as microseconds since 1970: exact, and the same in every database."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        """As the database has it."""
        return None if value is None else (value - _EPOCH) // timedelta(microseconds=1)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:
        """As Python has it."""
        return None if value is None else _EPOCH + timedelta(microseconds=value)


class Database(Protocol):
    """What `tx.db` and `read.db` have in common and this game uses."""

    def execute(self, statement: Executable, parameters: Any = None, /) -> Any:
        """Run one statement of SQLAlchemy Core."""


_Number = BigInteger().with_variant(Integer, "sqlite")
"""SQLite counts up only what is called INTEGER."""

tables = MetaData()

universes = Table(
    "universes",
    tables,
    Column("id", _Number, primary_key=True),
    Column("name", String, nullable=False),
    Column("pace", Integer, nullable=False),
    Column("seed", BigInteger, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("invitation", String),
    Column("orders", Integer, nullable=False),  # constructions ever ordered: the last one's number
    Column("visits", Integer, nullable=False),  # dragons ever sighted
    Column("quiet_visits", Integer, nullable=False),  # visits since the last command of a player
    sqlite_autoincrement=True,
)


def _universe() -> Column[int]:
    return Column(
        "universe",
        BigInteger,
        ForeignKey("universes.id"),
        primary_key=True,
        autoincrement=False,
        nullable=False,
    )


def _number(name: str) -> Column[int]:
    return Column(name, Integer, primary_key=True, autoincrement=False, nullable=False)


members = Table(
    "members",
    tables,
    _universe(),
    Column("player", String, primary_key=True, nullable=False),
    Column("name", String, nullable=False),
    Column("joined_at", Moment, nullable=False),
    Index("members_by_player", "player"),
)

planets = Table(
    "planets",
    tables,
    _universe(),
    _number("planet"),
    Column("star", Integer, nullable=False),
    Column("name", String, nullable=False),
    Column("metal", Float(53), nullable=False),
    Column("crystal", Float(53), nullable=False),
    Column("at", Moment, nullable=False),
    Column("metal_mine", Integer, nullable=False),
    Column("crystal_mine", Integer, nullable=False),
    Column("storehouse", Integer, nullable=False),
    Column("observatory", Integer, nullable=False),
    Column("shield", Integer, nullable=False),
)

stars = Table(
    "stars",
    tables,
    _universe(),
    _number("star"),
    Column("name", String, nullable=False),
    Column("x", Float(53), nullable=False),
    Column("y", Float(53), nullable=False),
    Column("magnitude", Float(53), nullable=False),
    Column("planets", Integer, nullable=False),
    Column("discovered_at", Moment),
    Column("probed_at", Moment),
    Column("note", String),
)

constructions = Table(
    "constructions",
    tables,
    _universe(),
    _number("construction"),  # in the order in which they were ordered, which is the order of the queue
    Column("planet", Integer, nullable=False),
    Column("player", String, nullable=False),
    Column("structure", String, nullable=False),
    Column("level", Integer, nullable=False),
    Column("metal", Integer, nullable=False),  # what was paid, and comes back
    Column("crystal", Integer, nullable=False),
    Column("seconds", Integer, nullable=False),  # of game time
    Column("process", BigInteger),  # null until it is the first in the queue
)
