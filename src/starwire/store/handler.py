"""The database as a handler gets it: every statement, but no power over the transaction."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn, TypeVarTuple, overload

from sqlalchemy import Connection, CursorResult, Executable, Insert, Row, ScalarResult, Select
from sqlalchemy.sql.expression import CompoundSelect
from sqlalchemy.sql.selectable import TypedReturnsRows

from starwire.errors import NotAllowed
from starwire.store.dialect import DEFERRED

Ts = TypeVarTuple("Ts")


class HandlerConnection:
    """A SQLAlchemy Core connection without the power to end the transaction.

    ``execute``, ``scalar`` and ``scalars`` are those of ``sqlalchemy.Connection``.
    """

    def __init__(
        self,
        connection: Connection,
        before_write: Callable[[], None] | None,
        *,
        before_read: Callable[[], None] | None = None,
        deferring: bool = False,
    ) -> None:
        self._connection = connection
        self._before_write = before_write
        self._before_read = before_read
        self._deferring = deferring

    @overload
    def execute(self, statement: TypedReturnsRows[*Ts], parameters: Any = None) -> CursorResult[*Ts]: ...
    @overload
    def execute(self, statement: Executable, parameters: Any = None) -> CursorResult[*tuple[Any, ...]]: ...
    def execute(self, statement: Executable, parameters: Any = None) -> CursorResult[Any]:
        """Run a statement; parameters are a mapping, or a sequence of mappings for many rows."""
        self._guard(statement)
        if self._deferring and _only_inserts(statement):
            return self._connection.execute(statement, parameters, execution_options={DEFERRED: True})
        return self._connection.execute(statement, parameters)

    def scalar(self, statement: Executable, parameters: Any = None) -> Any:
        """The first column of the first row, or None."""
        self._guard(statement)
        return self._connection.scalar(statement, parameters)

    def scalars(self, statement: Executable, parameters: Any = None) -> ScalarResult[Any]:
        """The first column of every row."""
        self._guard(statement)
        return self._connection.scalars(statement, parameters)

    def first(self, statement: TypedReturnsRows[*Ts], parameters: Any = None) -> Row[*Ts] | None:
        """The first row, or None."""
        return self.execute(statement, parameters).first()

    def _guard(self, statement: Executable) -> None:
        if isinstance(statement, (Select, CompoundSelect)):
            if self._before_read is not None:
                self._before_read()
            return
        if self._before_write is None:
            raise NotAllowed("a view changes nothing; its statements are SELECTs")
        self._before_write()

    def __getattr__(self, name: str) -> NoReturn:
        if name in {"commit", "rollback", "begin", "begin_nested", "close", "invalidate", "detach"}:
            raise NotAllowed(
                f"tx.db.{name}: the transaction is the framework's; raise an error to undo a handler"
            )
        raise AttributeError(f"tx.db has execute, scalar, scalars and first, but no {name!r}")


def _only_inserts(statement: Executable) -> bool:
    """Whether all there is to know of a statement is that it has not failed.

    Not so of a database's own ``ON CONFLICT``, which is another class, nor of INSERT … SELECT: how many rows
    they have inserted is news.
    """
    return type(statement) is Insert and statement.select is None
