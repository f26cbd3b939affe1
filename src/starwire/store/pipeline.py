"""PostgreSQL's pipeline mode: a statement whose result nobody needs is sent, and not waited for.

A round trip costs more than most of our statements do. A connection of this engine stays in pipeline mode; a
statement with the execution option ``DEFERRED`` is only sent, every other one also waits for what was sent
before it, and so does the commit. So an error of a deferred statement is raised by a later one: whoever
defers must be able to start over. Next hop: ``executor.py`` does, with savepoints and nothing deferred.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

import psycopg
from psycopg import Pipeline
from sqlalchemy import Connection, Engine, event

from starwire.store.dialect import DEFERRED

BEGIN = "BEGIN ISOLATION LEVEL READ COMMITTED"


class PipelinedConnection(psycopg.Connection[Any]):
    """A connection that is in pipeline mode from its first transaction on."""

    _manager: AbstractContextManager[Pipeline] | None = None
    _entered: Pipeline | None = None

    def begin(self) -> None:
        """Begin a transaction; nothing waits for that."""
        if self._entered is None:
            self._manager = self.pipeline()
            self._entered = self._manager.__enter__()
        self.execute(BEGIN)

    def settle(self) -> None:
        """Wait for everything that was sent.

        Raises:
            psycopg.Error: the first of its errors.
        """
        if self._entered is not None:
            self._entered.sync()

    def commit(self) -> None:
        """Commit; if that raises, undo: nobody else does, and the next transaction would be in this one."""
        try:
            super().commit()
        except psycopg.Error:
            if not self.broken:
                self.rollback()
            raise

    def rollback(self) -> None:
        """Undo the transaction; that what was sent in it has failed is no news.

        Raises:
            psycopg.OperationalError: the connection is broken, so nobody needs to undo anything.
        """
        if self._entered is not None:
            while self._entered.result_queue and not self.broken:  # a broken one never gives its results
                with contextlib.suppress(psycopg.DatabaseError):
                    self._entered.sync()
        super().rollback()

    def close(self) -> None:
        """Leave pipeline mode and close."""
        if self._manager is not None:
            manager, self._manager, self._entered = self._manager, None, None
            with contextlib.suppress(psycopg.Error):
                manager.__exit__(None, None, None)
        super().close()


def use_pipeline(engine: Engine) -> None:
    """Have all connections of an engine of PostgreSQL work in pipeline mode.

    The engine must have no isolation level of its own, or psycopg would wait for each BEGIN. It must not roll
    back what comes back to the pool, or that would wait too: whoever begins a transaction ends it.
    """
    event.listen(engine, "do_connect", _connect)
    event.listen(engine, "begin", _begin)
    event.listen(engine, "do_execute", _execute)
    event.listen(engine, "do_executemany", _execute_many)


def _connect(
    dialect: Any, record: Any, arguments: Sequence[Any], named: dict[str, Any]
) -> PipelinedConnection:
    return PipelinedConnection.connect(*arguments, **named, autocommit=True)


def _begin(connection: Connection) -> None:
    driver: Any = connection.connection.driver_connection
    driver.begin()


def _execute(cursor: Any, statement: str, parameters: Any, context: Any) -> bool:
    cursor.execute(statement, parameters)
    if not _is_deferred(context):
        cursor.connection.settle()
    return True


def _execute_many(cursor: Any, statement: str, parameters: Sequence[Any], context: Any) -> bool:
    cursor.executemany(statement, parameters)
    cursor.connection.settle()
    return True


def _is_deferred(context: Any) -> bool:
    options = context.execution_options
    if not options.get(DEFERRED) or options.get("preserve_rowcount"):
        return False
    return context.compiled is None or not context.compiled.effective_returning
