"""``starwire inspect``: what is in the database, who is alive, and what is late, on either engine."""

from __future__ import annotations

import time
from datetime import timedelta

import typer
from rich.console import Console
from rich.table import Table as Grid
from sqlalchemy import Connection, func, select

from starwire.cli.loading import DataOption, settings_from
from starwire.cli.running import reading, running_server, with_cluster
from starwire.clock import isoformat
from starwire.config import Settings, without_password
from starwire.store import tables

STREAMS_SHOWN = 10


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(inspect)


def inspect(data: DataOption = None) -> None:
    """Show what is in the database and who works on it, also while servers run.

    Of the distributed engine: with STARWIRE_DATABASE and STARWIRE_BROKER, or beside a `starwire cluster`.

    Example: [cyan]starwire inspect --data ~/dragons[/cyan]
    """
    settings = with_cluster(settings_from(data=data))
    console = Console(highlight=False)
    facts = Grid.grid(padding=(0, 2))
    facts.add_column()
    facts.add_column(overflow="fold")
    server = running_server(settings)
    facts.add_row(
        "server", "none is running" if server is None else f"{server.url} (OS process {server.pid})"
    )
    parts = [facts]
    with reading(settings) as connection:
        _add_facts(facts, connection, settings)
        if settings.broker is not None:
            _add_leader(facts, connection)
            parts.append(_roles(settings.broker))
        parts += [_pending(connection), _streams(connection)]
    for part in parts:
        console.print(part)


def _roles(broker: str) -> Grid:
    """Who has said within the last seconds that it is alive."""
    from redis.exceptions import RedisError  # noqa: PLC0415 -- an extra

    from starwire.engines.distributed.presence import present  # noqa: PLC0415 -- an extra

    grid = Grid("role", "name", "OS process", "host", "")
    try:
        found = present(broker)
    except RedisError as error:
        grid.add_row("unknown", f"the broker cannot be reached: {error}")
        return grid
    for each in found:
        grid.add_row(each.role, each.name, str(each.pid), each.host, each.note)
    if not found:
        grid.add_row("none", "no gateway, worker or scheduler is alive")
    return grid


def _add_leader(facts: Grid, connection: Connection) -> None:
    from starwire.store.lease import leader  # noqa: PLC0415 -- of PostgreSQL only

    held = leader(connection)
    if held is None:
        facts.add_row("leader", "no scheduler has ever led")
        return
    holder, term, expires_at = held
    left = expires_at - time.time_ns() // 1000
    until = f"for {_duration(left)} more" if left > 0 else "until its lease ended"
    facts.add_row("leader", f"{holder}, term {term}, {until}")


def _add_facts(facts: Grid, connection: Connection, settings: Settings) -> None:
    now = time.time_ns() // 1000
    run_at = tables.process.c.run_at
    due = connection.scalar(select(func.min(run_at)).where(tables.awake))
    accounts, registered = connection.execute(
        select(func.count(), func.count(tables.account.c.login)).select_from(tables.account)
    ).one()
    live = tables.session.c.expires_at > now
    sessions = connection.scalar(select(func.count()).select_from(tables.session).where(live))
    events = connection.scalar(select(func.coalesce(func.sum(tables.stream.c.head), 0)))
    facts.add_row(
        "database", str(settings.sqlite) if settings.database is None else without_password(settings.database)
    )
    if due is None:
        facts.add_row("next due", "nothing is pending")
    elif due > now:
        facts.add_row("next due", f"{isoformat(due)}, in {_duration(due - now)}")
    else:
        facts.add_row("lateness", f"{_duration(now - due)}, since {isoformat(due)}")
    facts.add_row("accounts", f"{accounts}, {registered} with a name and a password")
    facts.add_row("sessions", f"{sessions} live")
    facts.add_row("events", f"{events} were published")


def _pending(connection: Connection) -> Grid:
    c = tables.process.c
    grid = Grid("pending process", "state", "count", "next", title_justify="left")
    grouped = select(c.kind, c.state, func.count(), func.min(c.run_at)).group_by(c.kind, c.state)
    for kind, state, count, first in connection.execute(grouped.order_by(c.kind, c.state)):
        grid.add_row(kind, state, str(count), isoformat(first))
    return grid


def _streams(connection: Connection) -> Grid:
    c = tables.stream.c
    grid = Grid("stream (the longest)", "head", "kept from")
    longest = select(c.name, c.head, c.pruned).order_by(c.head.desc(), c.name).limit(STREAMS_SHOWN)
    for name, head, pruned in connection.execute(longest):
        grid.add_row(name, str(head), str(pruned + 1))
    return grid


def _duration(micros: int) -> str:
    return str(timedelta(seconds=round(micros / 1e6)))
