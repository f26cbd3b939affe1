"""The little in which SQLite and PostgreSQL differ, decided in one place."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

import msgspec
from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    String,
    Table,
    any_,
    bindparam,
    cast,
    column,
    func,
    null,
    select,
)
from sqlalchemy.dialects import postgresql, sqlite


class Dialect(Protocol):
    """How this database writes an upsert, and a list as one parameter."""

    name: str
    savepoint_for_reads: bool
    """Whether a statement that fails, a SELECT too, spoils the transaction unless a savepoint was taken."""

    def now(self) -> ColumnElement[Any]:
        """The database's own clock in microseconds; NULL where it is this OS process's."""
        ...

    def insert(self, table: Table) -> Any:
        """An insert that has ``on_conflict_do_update``, ``on_conflict_do_nothing`` and ``excluded``."""
        ...

    def is_any(self, of: ColumnElement[Any], name: str) -> ColumnElement[bool]:
        """The condition that a column is one of the list in parameter ``name`` (made by ``array``)."""
        ...

    def array(self, values: Iterable[Any]) -> Any:
        """A list as one parameter, so that a statement is compiled once for every length."""
        ...


class Sqlite:
    """SQLite: a list travels as a JSON array."""

    name = "sqlite"
    savepoint_for_reads = False

    def now(self) -> ColumnElement[Any]:
        """SQLite lives in this OS process and has its clock."""
        return null()

    def insert(self, table: Table) -> Any:
        """SQLite's insert."""
        return sqlite.insert(table)

    def is_any(self, of: ColumnElement[Any], name: str) -> ColumnElement[bool]:
        """``of IN (SELECT value FROM json_each(:name))``."""
        value: ColumnElement[Any] = column("value", of.type)
        each = func.json_each(bindparam(name, type_=String)).table_valued(value)
        return of.in_(select(each.c.value))

    def array(self, values: Iterable[Any]) -> Any:
        """A JSON array as text."""
        return msgspec.json.encode(list(values)).decode()


class Postgres:
    """PostgreSQL: a list travels as an array; the clock is the database's, one for all servers."""

    name = "postgresql"
    savepoint_for_reads = True

    def now(self) -> ColumnElement[Any]:
        """``clock_timestamp()``: it goes on within a transaction."""
        return cast(func.extract("epoch", func.clock_timestamp()) * 1_000_000, BigInteger)

    def insert(self, table: Table) -> Any:
        """PostgreSQL's insert."""
        return postgresql.insert(table)

    def is_any(self, of: ColumnElement[Any], name: str) -> ColumnElement[bool]:
        """``of = ANY(:name)``."""
        return of == any_(bindparam(name, type_=ARRAY(of.type)))

    def array(self, values: Iterable[Any]) -> Any:
        """An array."""
        return list(values)
