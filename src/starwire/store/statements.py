"""Every statement of the executor's path, built once for a dialect.

Building a SQLAlchemy statement costs more than running it on SQLite does, so nothing here is built again for
a call; lists travel as one parameter, so that each statement is also compiled only once.
"""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Integer,
    Select,
    String,
    and_,
    bindparam,
    column,
    delete,
    select,
)

from starwire.process import ProcessRow
from starwire.store import tables
from starwire.store.dialect import DEFERRED, Dialect

ROW_FIELDS = tuple(each.name for each in msgspec.structs.fields(ProcessRow))
EVENT_FIELDS = ("stream", "offset", "event", "at", "data", "message")
REPLY_FIELDS = ("player", "id", "digest", "frame", "at")
CHANGING = ("state", "attempt", "due_at", "run_at", "remaining")


class Statements:
    """The executor's statements for one dialect; each takes the parameters that its name says."""

    def __init__(self, dialect: Dialect) -> None:
        self.dialect = dialect
        self._partitions()
        self._processes()
        self._finishing()
        self._streams()
        self._players()

    def _partitions(self) -> None:
        c = tables.partition.c
        chosen = (
            select(c.id, c.clock, c.last_process)
            .where(self.dialect.is_any(c.id, "partitions"))
            .order_by(c.id)
        )

        def take(*, nowait: bool) -> Select[Any]:
            # The clock is read outside, so after the lock: waiting for it may have taken long.
            t = chosen.with_for_update(nowait=nowait).subquery()
            return select(t.c.id, t.c.clock, t.c.last_process, self.dialect.now())

        self.take_partitions, self.take_free_partitions = take(nowait=False), take(nowait=True)
        saved = self.dialect.insert_rows(tables.partition, ("id", "clock", "last_process"))
        advanced = saved.on_conflict_do_update(
            index_elements=["id"], set_={name: saved.excluded[name] for name in ("clock", "last_process")}
        )
        self.save_partitions = _deferred(advanced)

    def _processes(self) -> None:
        c = tables.process.c
        columns = [c[name] for name in ROW_FIELDS]
        is_any, awake = self.dialect.is_any, tables.awake
        in_partitions = is_any(c.partition, "partitions")
        not_held = ~is_any(c.key, "held")

        def due(*conditions: ColumnElement[bool]) -> Select[Any]:
            ready = select(*columns).where(*conditions, c.run_at <= bindparam("now"), awake)
            return ready.order_by(c.run_at, c.id).limit(bindparam("limit"))

        self.due = due(in_partitions)
        self.due_not_held = due(in_partitions, not_held)
        self.due_of_key = due(c.key == bindparam("key"))
        upcoming = select(c.run_at, c.id).where(in_partitions, awake).order_by(c.run_at, c.id).limit(1)
        self.next_due = upcoming
        self.next_due_not_held = upcoming.where(not_held)
        self.process = select(*columns).where(c.id == bindparam("id"))
        self.unique_process = select(*columns).where(
            c.key == bindparam("key"), c.kind == bindparam("kind"), c.unique_name == bindparam("name")
        )
        in_order = select(*columns).order_by(c.due_at, c.id)
        self.processes_of_key = in_order.where(c.key == bindparam("key"))
        self.processes_of_streams = in_order.where(is_any(c.stream, "streams"))
        saved = self.dialect.insert_rows(tables.process, ROW_FIELDS)
        changed = saved.on_conflict_do_update(
            index_elements=["id"], set_={name: saved.excluded[name] for name in CHANGING}
        )
        self.save_processes = _deferred(changed)

    def _finishing(self) -> None:
        self.remove_processes = delete(tables.process).where(self.dialect.is_any(tables.process.c.id, "ids"))
        archived = self.dialect.insert_rows(tables.finished, (*ROW_FIELDS, "finished_at", "error"))
        self.archive = _deferred(archived)

    def _streams(self) -> None:
        moved = self.dialect.insert_rows(tables.stream, ("name", "head"))
        self.advance_heads = moved.on_conflict_do_update(
            index_elements=["name"], set_={"head": tables.stream.c.head + moved.excluded.head}
        ).returning(tables.stream.c.name, tables.stream.c.head)
        self.add_events = _deferred(self.dialect.insert_rows(tables.event, EVENT_FIELDS))
        c = tables.stream.c
        self.head = select(c.head).where(c.name == bindparam("name"))
        self.positions = select(c.name, c.head, c.pruned).where(self.dialect.is_any(c.name, "names"))
        e = tables.event.c
        # Offsets have no gaps, so a page is a range of them; what of it is not there was pruned.
        wanted = self.dialect.given(
            "wanted",
            [
                column("nth", Integer),
                column("stream", String),
                column("after", BigInteger),
                column("last", BigInteger),
            ],
        )
        self.events = (
            select(wanted.c.nth, e.offset, e.event, e.at, e.data, e.message)
            .join_from(
                wanted,
                tables.event,
                and_(e.stream == wanted.c.stream, e.offset > wanted.c.after, e.offset <= wanted.c.last),
            )
            .order_by(wanted.c.nth, e.offset)
        )

    def _players(self) -> None:
        r = tables.reply.c
        self.answered = select(r.player, r.id, r.digest, r.frame).where(self.dialect.is_any(r.id, "ids"))
        self.add_replies = _deferred(self.dialect.insert_rows(tables.reply, REPLY_FIELDS))
        s = tables.subscription.c
        self.subscriptions = select(s.stream).where(s.player == bindparam("p"))
        self.subscriptions_of = select(s.player, s.stream).where(self.dialect.is_any(s.player, "players"))
        granted = self.dialect.insert_rows(tables.subscription, ("player", "stream"))
        self.add_subscriptions = _deferred(granted.on_conflict_do_nothing())
        self.remove_subscriptions = delete(tables.subscription).where(
            and_(s.player == bindparam("p"), s.stream == bindparam("s"))
        )
        session = tables.session.c
        self.live_sessions = select(session.id).where(
            self.dialect.is_any(session.id, "ids"), session.expires_at > bindparam("now")
        )


def _deferred(statement: Any) -> Any:
    """A statement that nobody waits for; an error of it comes with the next that is waited for."""
    return statement.execution_options(**{DEFERRED: True})
