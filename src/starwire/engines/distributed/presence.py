"""Who is alive: each server leaves a key in the broker that expires unless it is renewed.

For people (``starwire inspect``) only; nothing decides by it.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Callable
from typing import Any

import msgspec
import redis
from redis.exceptions import RedisError

from starwire.engines.distributed.addresses import connection_options

PREFIX = "starwire:alive:"
RENEW_SECONDS = 2.0
EXPIRE_SECONDS = 7


class Presence(msgspec.Struct, frozen=True):
    """A server that was alive a few seconds ago."""

    role: str
    name: str
    pid: int
    host: str
    note: str = ""


class Herald:
    """A thread that says that this server is alive, for as long as it is."""

    def __init__(self, broker: str, role: str, name: str, note: Callable[[], str] = str) -> None:
        self._redis = connect(broker)
        self._role = role
        self._name = name
        self._note = note
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="starwire-herald", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Say it no longer."""
        self._stop.set()
        self._thread.join(timeout=1)

    def _run(self) -> None:
        key = f"{PREFIX}{self._role}:{self._name}"
        while not self._stop.is_set():
            presence = Presence(self._role, self._name, os.getpid(), socket.gethostname(), self._note())
            with contextlib.suppress(RedisError):  # the broker may be away; this is for people only
                self._redis.set(key, msgspec.json.encode(presence), ex=EXPIRE_SECONDS)
            self._stop.wait(RENEW_SECONDS)
        with contextlib.suppress(RedisError):
            self._redis.delete(key)


def connect(broker: str) -> Any:
    """A connection that does not wait long."""
    return redis.Redis.from_url(
        broker, socket_timeout=2, socket_connect_timeout=2, **connection_options(broker)
    )


def present(broker: str) -> list[Presence]:
    """Who is alive, by role and name.

    Raises:
        RedisError: the broker cannot be reached.
    """
    connection = connect(broker)
    keys = sorted(connection.scan_iter(match=f"{PREFIX}*", count=1000))
    found = connection.mget(keys) if keys else []
    return [msgspec.json.decode(value, type=Presence) for value in found if value is not None]
