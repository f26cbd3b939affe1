"""A thousand who come back at once: what they have missed is read for all of them together."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import sqlalchemy
from sqlalchemy import insert

import starwire
from starwire import system
from starwire.gateway.hub import Hub
from starwire.limits import Limits
from starwire.store import tables
from starwire.store.database import Database
from tests.contract.harness import eventually
from tests.support.doors import open_doors
from tests.support.script import Memory, by_name, offsets

CLIENTS, OWN, SHARED = 1_000, 3, 600
LIMITS = Limits(recent_events=8, connections_per_address=CLIENTS)


@contextmanager
def counted(database: Database) -> Iterator[Counter[str]]:
    """How often each statement is executed by readers."""
    statements: Counter[str] = Counter()

    def count(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        statements[" ".join(statement.split())] += 1

    sqlalchemy.event.listen(database.read, "before_cursor_execute", count)
    yield statements
    sqlalchemy.event.remove(database.read, "before_cursor_execute", count)


def publish(database: Database, stream: str, count: int) -> None:
    row = {"stream": stream, "event": "noted", "at": 0, "data": b"{}", "message": None}
    with database.write.begin() as connection:
        connection.execute(insert(tables.stream).values(name=stream, head=count, pruned=0))
        connection.execute(insert(tables.event), [row | {"offset": n} for n in range(1, count + 1)])


def hello(hub: Hub, player: str, resume: dict[str, int]) -> Memory:
    memory = Memory()
    memory.session = hub.open(memory)
    args = {"token": player, "resume": resume}
    memory.session.text(json.dumps({"id": "h", "command": "hello", "args": args}))
    return memory


def is_whole(memory: Memory, resume: dict[str, int], heads: dict[str, int]) -> bool:
    return all(offsets(memory, name) == list(range(resume[name] + 1, heads[name] + 1)) for name in resume)


async def test_what_a_thousand_have_missed_is_read_in_a_few_statements(tmp_path: Path) -> None:
    async with open_doors(tmp_path) as doors:
        database = doors.engine._database
        players = [f"p{number}" for number in range(CLIENTS)]
        for player in players:
            publish(database, f"player:{player}", OWN)
        publish(database, "all", SHARED)
        registry = starwire.App("none").registry(system.module)
        hub = Hub(registry, doors.engine, doors.clock, LIMITS, by_name, wrap=lambda frame: frame)
        with counted(database) as statements:
            came = []
            for number, player in enumerate(players):
                resume = {f"player:{player}": number % OWN, "all": SHARED - 1 - number % 40}
                came.append((hello(hub, player, resume), resume))
            for memory, resume in came:
                heads = {name: OWN if name != "all" else SHARED for name in resume}
                await eventually(partial(is_whole, memory, resume, heads), "all that was missed")
        history = {text: times for text, times in statements.items() if "starwire_event" in text}
        assert len(history) == 1
        (times,) = history.values()
        assert times <= 20, f"{times} statements for {CLIENTS} clients"
        print(f"{sum(statements.values())} statements:", *statements.items(), sep="\n")
