"""Forgets what nobody can ask for any more: old replies, finished processes, events past their retention.

``prune`` does a bounded amount and says whether there is more, so that it never holds up the writer. An
event is dropped only after its stream's ``pruned`` has passed it, in the same transaction: who resumes from
before is told ``resync``, never silently given part.
"""

from __future__ import annotations

from sqlalchemy import Connection, bindparam, delete, func, select, tuple_, update

from starwire.limits import Limits
from starwire.store import tables

_MICROSECONDS = 1_000_000
_STREAMS = 100  # streams in one round


def prune(connection: Connection, now: int, limits: Limits) -> bool:
    """Forget some of what is old; whether there is more. Runs in the transaction of ``connection``."""
    rows = limits.prune_rows
    more = _prune_replies(connection, now - limits.reply_hours * 3600 * _MICROSECONDS, rows)
    more |= _prune_finished(connection, now - limits.finished_days * 86_400 * _MICROSECONDS, rows)
    more |= _prune_sessions(connection, now, rows)
    more |= _prune_events(connection, now - limits.retained_days * 86_400 * _MICROSECONDS, limits)
    return more


def _prune_replies(connection: Connection, before: int, rows: int) -> bool:
    c = tables.reply.c
    old = select(c.id, c.player).where(c.at < bindparam("before")).limit(rows)
    gone = connection.execute(delete(tables.reply).where(tuple_(c.id, c.player).in_(old)), {"before": before})
    return gone.rowcount >= rows


def _prune_finished(connection: Connection, before: int, rows: int) -> bool:
    c = tables.finished.c
    old = select(c.id).where(c.finished_at < bindparam("before")).limit(rows)
    return (
        connection.execute(delete(tables.finished).where(c.id.in_(old)), {"before": before}).rowcount >= rows
    )


def _prune_sessions(connection: Connection, now: int, rows: int) -> bool:
    c = tables.session.c
    old = select(c.id).where(c.expires_at < bindparam("before")).limit(rows)
    return connection.execute(delete(tables.session).where(c.id.in_(old)), {"before": now}).rowcount >= rows


def _prune_events(connection: Connection, before: int, limits: Limits) -> bool:
    """Drop events of streams that are too long, or that are too old, in order of their offsets."""
    stream, event = tables.stream.c, tables.event.c
    long = connection.execute(
        select(stream.name, stream.head - limits.retained_events)
        .where(stream.head - stream.pruned > limits.retained_events)
        .limit(_STREAMS)
    ).all()
    old = connection.execute(
        select(event.stream, func.max(event.offset))
        .where(event.at < bindparam("before"))
        .group_by(event.stream)
        .limit(_STREAMS),
        {"before": before},
    ).all()
    floors: dict[str, int] = {}
    for name, floor in (*long, *old):
        floors[name] = max(floor, floors.get(name, 0))
    budget = limits.prune_rows
    for name, floor in floors.items():
        if budget <= 0:
            return True
        pruned = (
            connection.scalar(select(stream.pruned).where(stream.name == bindparam("n")), {"n": name}) or 0
        )
        upto = min(floor, pruned + budget)
        budget -= max(0, upto - pruned)
        connection.execute(
            delete(tables.event).where(event.stream == bindparam("n"), event.offset <= bindparam("upto")),
            {"n": name, "upto": upto},
        )
        connection.execute(
            update(tables.stream)
            .where(stream.name == bindparam("n"), stream.pruned < bindparam("upto"))
            .values(pruned=bindparam("upto")),
            {"n": name, "upto": upto},
        )
    return budget <= 0 or len(long) == _STREAMS or len(old) == _STREAMS
