"""Whether something runs on a data folder, and where: a server says so in ``server.json``, a cluster too.

A file that a killed server has left behind proves nothing, so whoever it names is asked.
"""

from __future__ import annotations

import http.client
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from urllib.parse import urlsplit

import msgspec
from sqlalchemy import Connection

from starwire.config import Settings
from starwire.errors import ConfigurationError
from starwire.store import migrate as migrations
from starwire.store.database import Database, open_sqlite

ANSWER_SECONDS = 2.0


class RunningServer(msgspec.Struct, frozen=True):
    """What a server leaves in its data folder while it runs."""

    url: str
    pid: int


class RunningCluster(msgspec.Struct, frozen=True):
    """What ``starwire cluster`` leaves in its data folder while it runs."""

    pid: int
    database: str
    broker: str
    gateways: list[str]


def running_server(settings: Settings) -> RunningServer | None:
    """The server that runs on this data folder; None when none does, or it does not answer."""
    try:
        server = msgspec.json.decode(settings.server_file.read_bytes(), type=RunningServer)
    except (OSError, msgspec.MsgspecError):
        server = None
    if server is not None and _answers(server.url):
        return server
    cluster = running_cluster(settings)  # of its gateways the one that wrote the file may be down
    if cluster is None:
        return None
    return next((RunningServer(url, cluster.pid) for url in cluster.gateways if _answers(url)), None)


def running_cluster(settings: Settings) -> RunningCluster | None:
    """The cluster that runs on this data folder."""
    try:
        cluster = msgspec.json.decode(settings.cluster_file.read_bytes(), type=RunningCluster)
    except (OSError, msgspec.MsgspecError):
        return None
    try:
        os.kill(cluster.pid, 0)
    except PermissionError:  # it is there, and somebody else's
        return cluster
    except OSError:
        return None
    return cluster


def with_cluster(settings: Settings) -> Settings:
    """The settings, with the database and the broker of the cluster that runs on this data folder."""
    if settings.database is not None or (cluster := running_cluster(settings)) is None:
        return settings
    return replace(settings, database=cluster.database, broker=cluster.broker)


@contextmanager
def existing_database(settings: Settings) -> Iterator[Database]:
    """The database of a data folder, or the one that the settings name; nothing is created.

    Raises:
        ConfigurationError: there is none.
    """
    settings = with_cluster(settings)
    if settings.data.exists() and not os.access(settings.data, os.R_OK | os.X_OK):
        raise ConfigurationError(f"STARWIRE_DATA: {settings.data} is somebody else's and cannot be read")
    if settings.database is not None:
        from starwire.store.postgres import open_postgres  # noqa: PLC0415 -- an extra

        database = open_postgres(settings.database, settings.limits)
    elif settings.sqlite.is_file():
        database = open_sqlite(settings.sqlite, readers=1)
    elif (settings.data / "cluster").is_dir():
        raise ConfigurationError(
            f"STARWIRE_DATA: the cluster in {settings.data} is not running; `starwire cluster` starts it"
        )
    else:
        raise ConfigurationError(
            f"STARWIRE_DATA: there is no database in {settings.data}; name it with --data"
        )
    try:
        yield database
    finally:
        database.close()


@contextmanager
def reading(settings: Settings) -> Iterator[Connection]:
    """One snapshot of a database that exists, which nothing here can change.

    Raises:
        ConfigurationError: there is none, or it is of another version.
    """
    with existing_database(settings) as database, database.read.begin() as connection:
        if not migrations.is_current(connection, migrations.framework_branch()):
            where = settings.data if settings.database is None else "STARWIRE_DATABASE"
            raise ConfigurationError(
                f"the database in {where} is older than this code; run `starwire migrate`"
            )
        yield connection


def _answers(url: str) -> bool:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=ANSWER_SECONDS)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
