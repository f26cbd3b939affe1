"""``starwire play`` and ``starwire serve``: run a server until it is told to stop."""

from __future__ import annotations

import asyncio
import errno
import importlib
import os
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from starwire import telemetry
from starwire.cli.loading import AppOption, DataOption, find_app, settings_from
from starwire.config import Settings, known, known_limits
from starwire.errors import ConfigurationError

if TYPE_CHECKING:
    from starwire.app import App
    from starwire.server import Server

GAME = "herebedragons.app:app"


def _option(name: str, metavar: str, setting: str, *flags: str) -> Any:
    described = {each.name: each for each in known()}[setting]
    text = f"{described.meaning}. [dim]\\[{setting}; {described.default}][/dim]"
    text = text[0].upper() + text[1:]
    return typer.Option(f"--{name}", *flags, metavar=metavar, help=text, show_default=False)


Host = Annotated[str | None, _option("host", "ADDRESS", "STARWIRE_HOST")]
Port = Annotated[str | None, _option("port", "PORT", "STARWIRE_PORT", "-p")]
DatabaseUrl = Annotated[str | None, _option("database", "URL", "STARWIRE_DATABASE")]
BrokerUrl = Annotated[str | None, _option("broker", "URL", "STARWIRE_BROKER")]
Hosts = Annotated[str | None, _option("hosts", "NAMES", "STARWIRE_HOSTS")]
Origins = Annotated[str | None, _option("origins", "ORIGINS", "STARWIRE_ORIGINS")]
LogLevel = Annotated[str | None, _option("log-level", "LEVEL", "STARWIRE_LOG_LEVEL")]
Dev = Annotated[
    bool | None,
    typer.Option(
        "--dev", help="Create missing tables, serve /dev. [dim]\\[STARWIRE_DEV; 0][/dim]", show_default=False
    ),
]


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    shown = {each.name for each in known()} - {"STARWIRE_DATABASE", "STARWIRE_BROKER"}
    rest = ", ".join(f"{each.name} ({each.default})" for each in known() if each.name in shown)
    limits = ", ".join(f"{each.name} ({each.default})" for each in known_limits())
    epilog = (
        f"Settings, each also from the environment: {rest}.\n\nBounds (see limits.py for reasons): {limits}."
    )
    app.command(epilog=epilog)(play)
    app.command(epilog=epilog)(serve)


def play(
    *,
    host: Host = None,
    port: Port = None,
    data: DataOption = None,
    database: DatabaseUrl = None,
    broker: BrokerUrl = None,
    hosts: Hosts = None,
    origins: Origins = None,
    log_level: LogLevel = None,
    dev: Dev = None,
) -> None:
    """Serve the game [bold]Here Be Dragons[/bold].

    Example: [cyan]starwire play --port 8001 --data ~/dragons[/cyan]
    """
    run(GAME, host=host, port=port, data=data, database=database, broker=broker, hosts=hosts,
        origins=origins, log_level=log_level, dev=dev)  # fmt: skip


def serve(
    *,
    name: AppOption = None,
    dev: Dev = None,
    host: Host = None,
    port: Port = None,
    data: DataOption = None,
    database: DatabaseUrl = None,
    broker: BrokerUrl = None,
    hosts: Hosts = None,
    origins: Origins = None,
    log_level: LogLevel = None,
) -> None:
    """Serve an app of your own.

    Example: [cyan]starwire serve --app mygame.main:app --dev[/cyan]
    """
    run(name, host=host, port=port, data=data, database=database, broker=broker, hosts=hosts,
        origins=origins, log_level=log_level, dev=dev)  # fmt: skip


def run(name: str | None, **overrides: Any) -> None:
    """Serve the app of an import string until a signal."""
    settings = settings_from(**overrides)
    telemetry.configure_logs(level=settings.log_level, json=settings.log_json)
    app = find_app(name)
    require_free_port(settings)
    os.umask(0o077)  # what the server writes is its user's alone
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_serve(app, settings))


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    try:
        uvloop = importlib.import_module("uvloop")
    except ImportError:  # it is not there on every platform
        return asyncio.new_event_loop
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


async def _serve(app: App, settings: Settings) -> None:
    from starwire.server import serve as run_server  # noqa: PLC0415 -- half a second that --help does not need

    def started(server: Server) -> None:
        console = Console(highlight=False, soft_wrap=True)
        console.print(f"[bold]{app.name}[/bold] is at [bold cyan]{server.url}[/bold cyan]", end="")
        console.print(" (and /dev)" if settings.dev else "")
        opened = server.opened
        console.print(f"[dim]Engine: {opened.name}, {opened.keeps}. Ctrl-C stops it.[/dim]")
        if opened.grow is not None:
            console.print(f"[dim]{opened.grow}[/dim]")

    await run_server(app, settings, started=started)


def require_free_port(settings: Settings) -> None:
    """Find out that the port is taken before anything starts.

    Raises:
        ConfigurationError: it is, or the address is not this machine's.
    """
    if settings.port == 0:
        return
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise ConfigurationError(
                f"STARWIRE_PORT is {settings.port}, which another program is listening on;"
                f" choose another, for example --port {settings.port + 1}"
            ) from None
        if error.errno == errno.EACCES:
            raise ConfigurationError(
                f"STARWIRE_PORT is {settings.port}, which needs privileges; choose one above 1023"
            ) from None
        raise ConfigurationError(
            f"STARWIRE_HOST is {settings.host!r}, which is no address of this machine: {error.strerror}"
        ) from None
