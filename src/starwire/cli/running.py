"""Whether a server runs on a data folder, and where: it says so in ``server.json``."""

from __future__ import annotations

import http.client
from urllib.parse import urlsplit

import msgspec

from starwire.config import Settings

ANSWER_SECONDS = 2.0


class RunningServer(msgspec.Struct, frozen=True):
    """What a server leaves in its data folder while it runs."""

    url: str
    pid: int


def running_server(settings: Settings) -> RunningServer | None:
    """The server that runs on this data folder; None when none does, or it does not answer.

    A file that a killed server has left behind proves nothing, so it is asked.
    """
    try:
        server = msgspec.json.decode(settings.server_file.read_bytes(), type=RunningServer)
    except (OSError, msgspec.MsgspecError):
        return None
    parts = urlsplit(server.url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=ANSWER_SECONDS)
    try:
        connection.request("GET", "/healthz")
        return server if connection.getresponse().status == 200 else None
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
