"""Who leads: a row that one holder renews, and anybody may take once it has expired.

Two leaders are harmless, because what leads only sends hints. Times are the database's, so that no server's
clock matters. A new term begins with every change of holder, and with a holder's own restart.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Connection, bindparam, cast, func, select, type_coerce

from starwire.store import tables
from starwire.store.dialect import Postgres

SCHEDULER = "scheduler"
_c = tables.lease.c
_now = type_coerce(Postgres().now(), BigInteger)
_seconds = cast(bindparam("seconds"), BigInteger)
_insert = Postgres().insert(tables.lease)
_take = (
    _insert.values(name=SCHEDULER, holder=bindparam("me"), term=1, expires_at=_now + _seconds)
    .on_conflict_do_update(
        index_elements=["name"],
        set_={
            "holder": _insert.excluded.holder,
            "term": _c.term + 1,
            "expires_at": _insert.excluded.expires_at,
        },
        where=_c.expires_at < _now,
    )
    .returning(_c.term)
)
_renew = (
    tables.lease.update()
    .where(_c.name == SCHEDULER, _c.holder == bindparam("me"), _c.expires_at >= _now)
    .values(expires_at=_now + _seconds)
    .returning(_c.term)
)
_read = select(func.coalesce(func.max(_c.term), 0)).where(_c.name == SCHEDULER)


def lead(connection: Connection, holder: str, seconds: float) -> int | None:
    """Renew the lease, or take it if nobody holds it: its term, or None when somebody else leads."""
    parameters = {"me": holder, "seconds": int(seconds * 1e6)}
    term: int | None = connection.scalar(_renew, parameters)
    return connection.scalar(_take, parameters) if term is None else term


def give_up(connection: Connection, holder: str) -> None:
    """Let somebody else lead at once."""
    connection.execute(
        tables.lease.update().where(_c.name == SCHEDULER, _c.holder == bindparam("me")).values(expires_at=0),
        {"me": holder},
    )


def current_term(connection: Connection) -> int:
    """The newest term; 0 before anybody has ever led."""
    return connection.scalar(_read) or 0


def leader(connection: Connection) -> tuple[str, int, int] | None:
    """(holder, term, expires_at) as it stands, for people."""
    row = connection.execute(select(_c.holder, _c.term, _c.expires_at)).first()
    return None if row is None else (row[0], row[1], row[2])
