"""One broker URL, as Celery and as redis-py want it: ``redis://``, ``rediss://`` or ``unix:///path``."""

from __future__ import annotations

from typing import Any

from starwire.errors import ConfigurationError

SCHEMES = ("redis://", "rediss://", "unix://")


def require_broker(url: str) -> str:
    """The URL, when it is one that is understood.

    Raises:
        ConfigurationError: it is not.
    """
    if not url.startswith(SCHEMES):
        scheme = url.partition("://")[0]
        raise ConfigurationError(
            f"STARWIRE_BROKER begins with {scheme!r}; it must be redis://…, rediss://… or unix:///path"
        )
    return url


def for_celery(url: str) -> str:
    """As kombu spells a Unix socket."""
    return url.replace("unix://", "redis+socket://", 1) if url.startswith("unix://") else url


def connection_options(url: str) -> dict[str, Any]:
    """What a TCP connection has and a Unix socket has not: signs of life."""
    return {} if url.startswith("unix://") else {"socket_keepalive": True}
