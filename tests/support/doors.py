"""The way in without a server: accounts and HTTP on an embedded engine and a clock of the test's own."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import argon2
from starlette.applications import Starlette

import starwire
from starwire import system
from starwire.batch import Event
from starwire.clock import ManualClock
from starwire.engines.embedded import EmbeddedEngine, open_embedded
from starwire.errors import Unauthenticated
from starwire.gateway.accounts import Accounts
from starwire.gateway.auth import Authenticator
from starwire.gateway.http import build_http
from starwire.gateway.passwords import Passwords
from starwire.gateway.sessions import RefreshTokens
from starwire.gateway.tokens import Tokens
from starwire.identity import Identity
from starwire.limits import Limits
from starwire.store import tables
from starwire.store.database import open_sqlite
from tests.support.asgi import Answer, request

SECRET = b"s" * 64
FAST = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


@dataclass
class Doors:
    """What a test of accounts needs at hand."""

    http: Starlette
    accounts: Accounts
    authenticator: Authenticator
    engine: EmbeddedEngine
    tokens: Tokens
    clock: ManualClock
    events: list[Event]

    async def post(self, path: str, json: Any = None, **options: Any) -> Answer:
        return await request(self.http, "POST", path, json={} if json is None else json, **options)

    async def authenticate(self, token: str) -> Identity:
        """As hello does: the token, then its session."""
        identity = await self.authenticator(token)
        if not await self.authenticator.is_live(identity):
            raise Unauthenticated("The session was signed out.", revoked=True)
        return identity

    def later(self, seconds: float) -> None:
        self.clock.set(self.clock.now() + int(seconds * 1_000_000))


@asynccontextmanager
async def open_doors(
    folder: Path, *, app: starwire.App | None = None, limits: Limits | None = None, **options: Any
) -> AsyncIterator[Doors]:
    limits = limits or Limits()
    app = app or starwire.App("test")
    clock = ManualClock()
    registry = app.registry(system.module)
    database = open_sqlite(folder / "starwire.db", durable=False)
    tables.metadata.create_all(database.write)
    engine = open_embedded(registry, database, clock, limits, partitions=4, seed="test")
    await engine.start()
    events: list[Event] = []
    engine.broker.attach(events.extend)
    for player in range(1, 9):
        engine.broker.subscribe(f"player:{player}")
    tokens = Tokens(SECRET, clock, access_seconds=limits.access_seconds)
    passwords = Passwords(limits, FAST)
    accounts = Accounts(
        engine,
        tokens=tokens,
        refresh_tokens=RefreshTokens(SECRET),
        passwords=passwords,
        clock=clock,
        limits=limits,
    )
    options = {"ready": lambda: (True, {}), "hosts": ["game.example"], **options}
    own = accounts if app.auth is None else None
    http = build_http(app, registry, own, **options)
    try:
        yield Doors(http, accounts, Authenticator(tokens, engine), engine, tokens, clock, events)
    finally:
        passwords.close()
        await engine.stop()
