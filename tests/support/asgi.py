"""One request to an ASGI application, without a server: literal headers in, status, headers and body out."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

import msgspec
from starlette.types import ASGIApp, Message


@dataclass
class Answer:
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    def json(self) -> Any:
        return msgspec.json.decode(self.body)


async def request(
    app: ASGIApp,
    method: str,
    path: str,
    *,
    json: Any = None,
    body: bytes = b"",
    headers: dict[str, str] | None = None,
    client: str = "192.0.2.1",
) -> Answer:
    """Send one request; `json` sets body and content type."""
    given = {"host": "game.example:8000", **(headers or {})}
    if json is not None:
        body = msgspec.json.encode(json)
        given.setdefault("content-type", "application/json")
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(name.lower().encode(), value.encode()) for name, value in given.items()],
        "client": (client, 50_000),
        "server": ("game.example", 8000),
    }
    answer = Answer()
    # In pieces, as a network delivers it.
    pieces = [body[at : at + 4096] for at in range(0, len(body), 4096)] or [b""]

    async def receive() -> Message:
        if not pieces:
            await asyncio.Event().wait()  # the client stays
        piece = pieces.pop(0)
        return {"type": "http.request", "body": piece, "more_body": bool(pieces)}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            answer.status = message["status"]
            answer.headers = {name.decode().lower(): value.decode() for name, value in message["headers"]}
        elif message["type"] == "http.response.body":
            answer.body += message.get("body", b"")

    await app(scope, receive, send)
    return answer
