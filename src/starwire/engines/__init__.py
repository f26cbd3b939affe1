"""How gateways, workers and the scheduler are joined: each module is one way, behind ``starwire.engine``.

``open_engine`` chooses by the settings: with a database and a broker named, distributed; else embedded.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from starwire.app import App, Registry
from starwire.clock import Clock
from starwire.config import Settings
from starwire.engine import Engine
from starwire.store.database import Database


@dataclass(frozen=True)
class Opened:
    """An engine that is ready to be started."""

    engine: Engine
    database: Database
    name: str
    keeps: str
    """Where it keeps its data, for people."""
    close: Callable[[], None]
    """Called after the engine has stopped."""
    grow: str | None = None
    """How to go past this engine's bounds, for people."""


def open_engine(app: App, registry: Registry, settings: Settings, clock: Clock, *, gateway: str) -> Opened:
    """Open the engine that the settings ask for; its database is brought to the schema of this code.

    Raises:
        ConfigurationError: the data folder, the database or the broker is not usable.
    """
    if settings.database is not None:
        from starwire.engines.distributed.opening import open_distributed  # noqa: PLC0415 - an extra

        return open_distributed(app, registry, settings, clock, gateway=gateway)
    from starwire.engines.embedded import open_with_settings  # noqa: PLC0415 - as the other

    return open_with_settings(app, registry, settings, clock)
