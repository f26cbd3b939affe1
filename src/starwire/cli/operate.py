"""What an operator does: ``starwire announce`` and ``starwire token``.

Both sign with the secret in the data folder: who can read that may do everything anyway.
"""

from __future__ import annotations

import asyncio
import secrets
from typing import Annotated

import typer
from sqlalchemy import Connection

from starwire.cli.loading import DataOption, settings_from
from starwire.cli.running import existing_database, running_server
from starwire.client import Client
from starwire.clock import SystemClock
from starwire.errors import ConfigurationError
from starwire.store.database import Database
from starwire.telemetry import configure_logs

OPERATOR = "operator"


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(announce)
    app.command()(token)


def announce(
    text: Annotated[str, typer.Argument(help="The sentence.", show_default=False)], data: DataOption = None
) -> None:
    """Tell every open page a sentence.

    Example: [cyan]starwire announce "Maintenance at noon"[/cyan]
    """
    from starwire.gateway.tokens import Tokens, load_secret  # noqa: PLC0415 -- cryptography is slow to import

    settings = settings_from(data=data)
    configure_logs(level="warning")
    server = running_server(settings)
    if server is None:
        raise ConfigurationError(
            f"no server is running on the data folder {settings.data}; name the right one with --data"
        )
    tokens = Tokens(load_secret(settings.data), SystemClock(), access_seconds=60)

    async def send() -> None:
        signed = tokens.sign(OPERATOR, name="Operator", operator=True)
        async with Client(server.url, token=signed, timeout=10, connect_timeout=10) as client:
            await client.command("announce", text=text)

    asyncio.run(send())
    print(f"Announced at {server.url}: {text}")


def token(
    player: Annotated[
        str | None, typer.Option("--player", metavar="PLAYER", help="An account, by its id or its name.")
    ] = None,
    guest: Annotated[bool, typer.Option("--guest", help="Of a new guest.")] = False,
    operator: Annotated[
        bool,
        typer.Option("--operator", help="May do what requires an operator. Alone: five minutes at most."),
    ] = False,
    seconds: Annotated[int | None, typer.Option("--seconds", help="Its life.", show_default="900")] = None,
    data: DataOption = None,
) -> None:
    """Print an access token, for tools and tests.

    Example: [cyan]starwire token --guest[/cyan], then in the wire drawer or any WebSocket tool:
    [cyan]{"id":"1","command":"hello","args":{"token":"…"}}[/cyan]
    """
    from starwire.gateway.tokens import Tokens, load_secret  # noqa: PLC0415 -- cryptography is slow to import

    settings = settings_from(data=data)
    if guest and player is not None:
        raise ConfigurationError("--guest makes a new player, so --player cannot be given with it")
    if not (guest or operator or player):
        raise ConfigurationError("say whose token: --player NAME, --guest or --operator")
    if seconds is not None and seconds < 1:
        raise ConfigurationError(f"--seconds is {seconds}; it must be 1 or more")
    with existing_database(settings) as database:
        clock = SystemClock()
        tokens = Tokens(load_secret(settings.data), clock, access_seconds=settings.limits.access_seconds)
        life = settings.limits.access_seconds if seconds is None else seconds
        if player is None and not guest:
            print(tokens.sign(OPERATOR, name="Operator", operator=True, seconds=life))
            return
        id, name, session = _open_session(database, player, clock.now(), life)
        print(tokens.sign(id, name=name, session=session, operator=operator, seconds=life))


def _open_session(database: Database, player: str | None, now: int, seconds: int) -> tuple[str, str, str]:
    """(player, name, session) of a new session without a refresh token; no player named: of a new guest."""
    from starwire.gateway import accounts, names, sessions  # noqa: PLC0415 -- so is argon2

    def find(connection: Connection) -> accounts.Account:
        if player is None:
            return accounts.add_account(connection, now)
        account = None
        if player.isdecimal() and len(player) < 19:
            account = accounts.find_account(connection, int(player))
        account = account or accounts.find_login(connection, names.folded(player))
        if account is None:
            raise ConfigurationError(f"--player is {player!r}, but no account has this id or name")
        return account

    with database.write.begin() as connection:
        account = find(connection)
        unknown = secrets.token_bytes(32)  # the digest of no token
        session = sessions.open_session(connection, account.id, unknown, now=now, life=seconds * 1_000_000)
    return str(account.id), account.name, session
