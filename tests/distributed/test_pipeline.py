"""A connection in pipeline mode that ends while nobody waits for it."""

from collections.abc import Iterator
from typing import cast

import psycopg
import pytest
from psycopg.errors import UndefinedTable
from psycopg.pq import TransactionStatus
from sqlalchemy import select, text
from sqlalchemy.exc import OperationalError

from starwire.limits import Limits
from starwire.store.database import Database
from starwire.store.dialect import DEFERRED
from starwire.store.pipeline import PipelinedConnection
from starwire.store.postgres import open_postgres

WRITE = text("INSERT INTO kept VALUES (1)").execution_options(**{DEFERRED: True})


@pytest.fixture
def postgresql(database: str) -> Iterator[Database]:
    opened = open_postgres(database, Limits(transaction_seconds=2), pipelined=True)
    with opened.write.begin() as connection:
        connection.execute(text("CREATE TABLE kept (number integer)"))
    yield opened
    opened.close()


def write_and_be_cut_off(postgresql: Database, database: str, *, then: Exception | None) -> None:
    """Send what nobody waits for, have the server end the connection, and raise, or else commit."""
    with postgresql.write.begin() as connection:
        pid = connection.scalar(text("SELECT pg_backend_pid()"))
        connection.execute(WRITE)
        with psycopg.connect(database, autocommit=True) as other:
            assert other.execute("SELECT pg_terminate_backend(%s, 5000)", (pid,)).fetchone() == (True,)
        if then is not None:
            raise then


@pytest.mark.timeout(20)
def test_a_handler_that_raises_after_its_connection_has_ended_does_not_hold_its_worker_up(
    postgresql: Database, database: str
) -> None:
    with pytest.raises(OperationalError):
        write_and_be_cut_off(postgresql, database, then=ValueError("the handler's own"))
    assert kept(postgresql) == 0


def test_a_commit_on_a_connection_that_has_ended_is_no_commit(postgresql: Database, database: str) -> None:
    with pytest.raises(OperationalError):
        write_and_be_cut_off(postgresql, database, then=None)
    assert kept(postgresql) == 0


def test_after_a_commit_that_failed_the_connection_is_in_no_transaction(postgresql: Database) -> None:
    with postgresql.write.connect() as connection:
        driver = cast("PipelinedConnection", connection.connection.driver_connection)
        driver.begin()
        driver.execute("INSERT INTO nothing_of_this_name VALUES (1)")
        with pytest.raises(UndefinedTable):
            driver.commit()
        assert driver.info.transaction_status == TransactionStatus.IDLE


def kept(postgresql: Database) -> int:
    """How many rows there are, as the next transaction of the same pool finds."""
    with postgresql.write.begin() as connection:
        return len(connection.execute(select(text("number")).select_from(text("kept"))).all())
