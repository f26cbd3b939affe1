"""A thousand who come back at once: what they ask and what they have missed is read for them together."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
from sqlalchemy import insert

import starwire
from starwire import system
from starwire.engine import Engine
from starwire.gateway.hub import Hub
from starwire.identity import Identity
from starwire.limits import Limits
from starwire.store import tables
from starwire.store.database import Database
from tests.contract.harness import eventually
from tests.support.doors import open_doors
from tests.support.script import Memory, by_name, offsets

OWN, SHARED = 3, 600
LIMITS = Limits(recent_events=8)


class Logins:
    """A token is the player's name; whether its login still exists is asked of the engine."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def __call__(self, token: str) -> Identity:
        return await by_name(token)

    async def is_live(self, identity: Identity) -> bool:
        return await self._engine.session_is_live(identity.session or "")


@contextmanager
def counted(database: Database) -> Iterator[Counter[str]]:
    """How often readers execute each statement; ``BEGIN`` is one for each transaction."""
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


def sign_in(database: Database, players: list[str]) -> None:
    row = {"account": 1, "refresh": b"", "rotated_at": 0, "expires_at": 1 << 62}
    account = {"id": 1, "name": "crowd", "folded": "crowd", "created_at": 0}
    with database.write.begin() as connection:
        connection.execute(insert(tables.account), account)
        connection.execute(
            insert(tables.session),
            [row | {"id": f"session of {player}", "refresh": player.encode()} for player in players],
        )


def grant(database: Database, players: list[str], stream: str) -> None:
    with database.write.begin() as connection:
        connection.execute(
            insert(tables.subscription), [{"player": player, "stream": stream} for player in players]
        )


def hello(hub: Hub, player: str, resume: dict[str, int]) -> Memory:
    memory = Memory()
    memory.session = hub.open(memory)
    args = {"token": player, "resume": resume}
    memory.session.text(json.dumps({"id": "h", "command": "hello", "args": args}))
    return memory


def is_whole(memory: Memory, resume: dict[str, int], heads: dict[str, int]) -> bool:
    return all(offsets(memory, name) == list(range(resume[name] + 1, heads[name] + 1)) for name in resume)


@pytest.mark.parametrize("clients", [200, pytest.param(1_000, marks=pytest.mark.soak)])
async def test_what_many_who_come_back_at_once_ask_is_read_in_a_few_statements(
    tmp_path: Path, clients: int
) -> None:
    async with open_doors(tmp_path) as doors:
        database = doors.engine._database
        players = [f"p{number}" for number in range(clients)]
        for player in players:
            publish(database, f"player:{player}", OWN)
        publish(database, "all", SHARED)
        sign_in(database, players)
        grant(database, players[::2], "universe:1")
        registry = starwire.App("none").registry(system.module)
        logins = Logins(doors.engine)
        hub = Hub(registry, doors.engine, doors.clock, LIMITS, logins, wrap=lambda frame: frame)
        with counted(database) as statements:
            came = []
            for number, player in enumerate(players):
                resume = {f"player:{player}": number % OWN, "all": SHARED - 1 - number % 40}
                came.append((hello(hub, player, resume), resume))
            for memory, resume in came:
                heads = {name: OWN if name != "all" else SHARED for name in resume}
                await eventually(partial(is_whole, memory, resume, heads), "all that was missed")
        for number, (memory, _) in enumerate(came):
            granted = "universe:1" in memory.frames[0]["result"]["streams"]
            assert granted is (number % 2 == 0), f"p{number} hears what is granted to it"
        print(f"{sum(statements.values())} statements:", *statements.items(), sep="\n")
        history = {text: times for text, times in statements.items() if "starwire_event" in text}
        assert len(history) == 1
        (pages,) = history.values()
        assert pages <= 20, f"{pages} statements for {clients} clients"
        # Each hello asks three times: for its streams, its session, positions. Beside full sets there are
        # smaller ones, when a set's first hello asks its next question before the others do.
        sets = 3 * clients // LIMITS.asked_at_once + 12
        transactions = statements.pop("BEGIN")
        assert transactions - pages <= sets, f"{transactions} transactions for {clients} clients"
        assert sum(statements.values()) - pages <= 3 * sets
