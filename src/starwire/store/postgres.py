"""Opening PostgreSQL: connections that notice a dead network, and never wait for ever.

Reads run in ``REPEATABLE READ``: one snapshot for each transaction, as the contract of views says. Writes run
in ``READ COMMITTED``: the partitions' row locks are what serialises them.
"""

from __future__ import annotations

import select
from typing import Any

from sqlalchemy import URL, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, InvalidatePoolError, OperationalError, SQLAlchemyError

from starwire.errors import ConfigurationError
from starwire.limits import Limits
from starwire.store.database import Database
from starwire.store.dialect import Postgres
from starwire.store.pipeline import use_pipeline

CONNECT_SECONDS = 5
PLANS = " -c enable_seqscan=off"
"""A transaction that writes reads by an index, or holds everybody up. Where PostgreSQL knows nothing of a
table yet, or no longer what is true, it would read all processes to find those that are due: with 60,000 of
them, 10.7 ms for each batch instead of 0.02."""


def open_postgres(url: str, limits: Limits, *, writers: int = 1, pipelined: bool = False) -> Database:
    """Open the database that the URL names, for example ``postgresql://user@host/name``.

    Args:
        url: see above.
        limits: time-outs and the number of connections.
        writers: how many connections write.
        pipelined: whether they do so in pipeline mode, as executors need it (``pipeline.py``).

    Raises:
        ConfigurationError: the URL is no PostgreSQL, or the server is not usable.
    """
    address = _address(url)
    milliseconds = int(limits.transaction_seconds * 1000)
    session = f"-c statement_timeout={milliseconds} -c idle_in_transaction_session_timeout={milliseconds}"
    arguments: dict[str, Any] = {
        "connect_timeout": CONNECT_SECONDS,
        "keepalives": 1,
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": 20_000,
        "application_name": "starwire",
    }

    def engine(size: int, options: str, **more: Any) -> Engine:
        return create_engine(
            address,
            connect_args={**arguments, "options": f"{session}{options}"},
            pool_size=size,
            max_overflow=2,
            pool_pre_ping=False,
            pool_recycle=1800,
            **more,
        )

    if pipelined:
        write = engine(writers, PLANS, pool_reset_on_return=None)
        use_pipeline(write)
    else:
        write = engine(writers, PLANS, isolation_level="READ COMMITTED")
    read = engine(limits.view_threads, "", isolation_level="REPEATABLE READ")

    @event.listens_for(read, "begin")
    def _read_only(connection: Any) -> None:
        connection.exec_driver_sql("SET TRANSACTION READ ONLY")

    for each in (write, read):
        event.listen(each, "checkout", _require_open)
    database = Database(write, read, Postgres())
    _require_durability(database)
    return database


def _require_open(connection: Any, *_: object) -> None:
    """Have the pool replace its connections when the server has ended one of them, after a restart say.

    An idle connection has nothing to read unless the server closed it. So this asks the kernel, not the
    server: it costs a microsecond where a ping would cost a round trip each time.
    """
    if connection.closed:
        raise InvalidatePoolError
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    if poll.poll(0):
        raise InvalidatePoolError


def _address(url: str) -> URL:
    try:
        address = make_url(url)
    except ArgumentError:
        raise ConfigurationError(
            f"STARWIRE_DATABASE is {url!r}; it must be a URL like postgresql://…"
        ) from None
    if address.get_backend_name() not in ("postgresql", "postgres"):
        raise ConfigurationError(
            f"STARWIRE_DATABASE is of {address.get_backend_name()}; the distributed engine needs postgresql://…"
        )
    return address.set(drivername="postgresql+psycopg")


def _require_durability(database: Database) -> None:
    try:
        with database.read.begin() as connection:
            value = connection.scalar(text("SHOW synchronous_commit"))
    except (OperationalError, SQLAlchemyError) as error:
        reason = str(getattr(error, "orig", error)).strip().splitlines()[-1]
        raise ConfigurationError(f"STARWIRE_DATABASE: PostgreSQL is not usable: {reason}") from None
    if value == "off":
        raise ConfigurationError(
            "STARWIRE_DATABASE: synchronous_commit is off, so a crash would lose what was acknowledged"
        )
