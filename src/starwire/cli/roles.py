"""`starwire worker` and `starwire scheduler`: the other servers of the distributed engine."""

from __future__ import annotations

import os
import secrets
import signal
import sys
from typing import Annotated, Any

import typer

from starwire import telemetry
from starwire.cli.loading import AppOption, find_app, settings_from
from starwire.config import Settings
from starwire.errors import ConfigurationError

DatabaseUrl = Annotated[
    str | None, typer.Option("--database", metavar="URL", help="[dim]\\[STARWIRE_DATABASE][/dim]")
]
BrokerUrl = Annotated[
    str | None, typer.Option("--broker", metavar="URL", help="[dim]\\[STARWIRE_BROKER][/dim]")
]
Name = Annotated[str | None, typer.Option("--name", help="What logs and `starwire inspect` call it.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(rich_help_panel="Past one machine")(worker)
    app.command(rich_help_panel="Past one machine")(scheduler)


def worker(
    *, name: AppOption = None, database: DatabaseUrl = None, broker: BrokerUrl = None, called: Name = None
) -> None:
    """Execute commands and due processes: a Celery worker of one OS process; start as many as you have cores.

    Example: [cyan]starwire worker --app mygame:app --database postgresql://… --broker redis://…[/cyan]
    """
    settings = _settings(name, database, broker)
    title = called or f"worker-{secrets.token_hex(3)}"
    os.environ["STARWIRE_NAME"] = title
    from starwire.engines.distributed.preparing import prepare  # noqa: PLC0415 - an extra
    from starwire.engines.distributed.tasks import celery  # noqa: PLC0415 - reads the environment set above

    prepare(find_app(settings.app), settings).close()
    level = settings.log_level
    celery.worker_main(
        [
            "--quiet",
            "worker",
            *("-P", "solo"),
            *("-n", f"{title}@%h"),
            *("-l", "warning" if level == "info" else level),
            *("--without-gossip", "--without-mingle"),
        ]
    )


def scheduler(*, database: DatabaseUrl = None, broker: BrokerUrl = None, called: Name = None) -> None:
    """Set delayed work up from the process table; start two, one leads.

    Example: [cyan]starwire scheduler --database postgresql://… --broker redis://…[/cyan]
    """
    settings = _settings(None, database, broker)
    from starwire.engines.distributed.preparing import prepare  # noqa: PLC0415 - an extra
    from starwire.engines.distributed.scheduling import run_scheduler  # noqa: PLC0415 - an extra

    prepare(None, settings).close()
    stopping: list[bool] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.append(True) if not stopping else sys.exit(1))
    run_scheduler(settings, called or f"scheduler-{secrets.token_hex(3)}", stopping)


def _settings(app: str | None, database: str | None, broker: str | None) -> Settings:
    overrides: dict[str, Any] = {"app": app, "database": database, "broker": broker}
    settings = settings_from(**overrides)
    telemetry.configure_logs(level=settings.log_level, json=settings.log_json)
    if settings.database is None or settings.broker is None:
        raise ConfigurationError(
            "STARWIRE_DATABASE and STARWIRE_BROKER are not set: this role belongs to the distributed engine,"
            " for example --database postgresql://localhost/game --broker redis://localhost"
        )
    os.environ["STARWIRE_APP"] = settings.app
    os.environ["STARWIRE_DATABASE"] = settings.database
    os.environ["STARWIRE_BROKER"] = settings.broker
    return settings
