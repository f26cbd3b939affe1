"""The little in which SQLite and PostgreSQL differ, decided in one place."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

import msgspec
from sqlalchemy import ColumnElement, String, Table, bindparam, column, func, select
from sqlalchemy.dialects import sqlite


class Dialect(Protocol):
    """How this database writes an upsert, and a list as one parameter."""

    name: str

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
