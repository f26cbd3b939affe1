"""The sketch's workers: `celery -A benchmarks.peers.sketch.tasks worker`.

A command writes a build row, sends its completion with an ETA, and publishes what happened; the completion
looks whether the row is still valid and publishes that. Tuned as one would who knows the documentation: no
results are stored, one connection is kept, and what is published once carries both the reply and the event.
"""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta

import psycopg
import redis
from celery import Celery

BROKER, DATABASE = os.environ["SKETCH_BROKER"], os.environ["SKETCH_DATABASE"]
CHANNEL = os.environ.get("SKETCH_NAME", "sketch")

app = Celery("sketch", broker=BROKER.replace("unix://", "redis+socket://"), backend=None)
app.conf.update(task_ignore_result=True, broker_connection_retry_on_startup=True)
app.conf.update(task_default_queue=CHANNEL, worker_prefetch_multiplier=4)

pubsub = redis.Redis.from_url(BROKER)
connections: list[psycopg.Connection] = []


def database() -> psycopg.Connection:
    """The OS process's connection, made by its first task."""
    if not connections:
        connections.append(psycopg.connect(DATABASE))
    return connections[0]


def prepare() -> None:
    """Make the table."""
    with psycopg.connect(DATABASE) as connection:
        connection.execute(
            "CREATE TABLE IF NOT EXISTS build (id bigserial PRIMARY KEY, player text NOT NULL,"
            " kind text NOT NULL, state text NOT NULL, started_at timestamptz NOT NULL,"
            " due_at timestamptz NOT NULL)"
        )


@app.task
def plant(player: str, id: str, seconds: int, kind: str) -> None:
    """The command."""
    now = datetime.now(UTC)
    due = now + timedelta(seconds=seconds)
    with database().transaction():
        cursor = database().execute(
            "INSERT INTO build (player, kind, state, started_at, due_at)"
            " VALUES (%s, %s, 'pending', %s, %s) RETURNING id",
            (player, kind, now, due),
        )
        row = cursor.fetchone()
    build = row[0] if row else None
    complete.apply_async(args=[build], eta=due)
    started = {"id": build, "kind": kind, "due_at": due.isoformat()}
    publish(player, id, {"event": "process_started", "data": started})


@app.task
def complete(build: int) -> None:
    """The delayed completion: nothing happens unless the row is still pending."""
    with database().transaction():
        cursor = database().execute(
            "UPDATE build SET state = 'completed' WHERE id = %s AND state = 'pending' RETURNING player, kind",
            (build,),
        )
        row = cursor.fetchone()
    if row:
        publish(row[0], None, {"event": "process_completed", "data": {"id": build, "kind": row[1]}})


def publish(player: str, id: str | None, event: dict[str, object]) -> None:
    """Tell every web process; it knows whether it has this player."""
    pubsub.publish(CHANNEL, json.dumps({"player": player, "id": id, **event}))
