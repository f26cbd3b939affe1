"""The sketch's web process: `uvicorn benchmarks.peers.sketch.web:app`.

A listener and a poster for each connection, an events queue between them and one subscriber for the web
process. A command becomes a Celery task; its reply is sent when the worker has committed, as ours is.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import secrets
from collections.abc import AsyncIterator
from typing import Any

import redis.asyncio
from fastapi import FastAPI, WebSocket, WebSocketDisconnect

from benchmarks.peers.sketch import tasks

log = logging.getLogger("sketch")
queues: dict[str, asyncio.Queue[dict[str, Any]]] = {}


@contextlib.asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    """Hear what the workers publish, for as long as the web process runs."""
    subscriber = asyncio.create_task(subscribe())
    yield
    subscriber.cancel()


app = FastAPI(lifespan=lifespan)


async def subscribe() -> None:
    """Give what is published to the player it concerns."""
    pubsub = redis.asyncio.Redis.from_url(os.environ["SKETCH_BROKER"]).pubsub()
    await pubsub.subscribe(tasks.CHANNEL)
    async for message in pubsub.listen():
        if message["type"] == "message":
            event = json.loads(message["data"])
            queue = queues.get(event["player"])
            if queue is not None:
                queue.put_nowait(event)


@app.post("/auth/guest")
async def guest() -> dict[str, str]:
    """A player, and no questions asked."""
    return {"access_token": secrets.token_hex(8)}


def ok_response(**fields: Any) -> str:
    """A frame as text."""
    return json.dumps(fields, separators=(",", ":"))


async def listener(socket: WebSocket, sub: str) -> None:
    """Commands in: each is a Celery task."""
    while True:
        try:
            frame = json.loads(await socket.receive_text())
        except json.JSONDecodeError:
            log.warning("not JSON from %s", sub)
            await socket.send_text(ok_response(type="reply", ok=False, message="JSON. JSON please"))
            continue
        command, args = frame.get("command"), frame.get("args", {})
        if command == "plant":
            # Publishing blocks, so it happens in a thread: the other connections go on meanwhile.
            await asyncio.to_thread(
                tasks.plant.delay, sub, frame["id"], args["seconds"], args.get("kind", "apple")
            )
        else:
            await socket.send_text(ok_response(type="reply", ok=False, command=None))


async def poster(socket: WebSocket, events: asyncio.Queue[dict[str, Any]]) -> None:
    """Events out; the one that a command caused is its reply too."""
    while True:
        event = await events.get()
        if event["id"] is not None:
            await socket.send_text(
                ok_response(type="reply", id=event["id"], command="plant", ok=True, result=event["data"])
            )
        await socket.send_text(ok_response(type="push", event=event["event"], data=event["data"]))


@app.websocket("/ws")
async def connect(socket: WebSocket) -> None:
    """Authenticate, then listen and post until the client is gone."""
    await socket.accept(subprotocol="starwire.v1")
    hello = json.loads(await socket.receive_text())
    sub = hello["args"]["token"]
    events = queues[sub] = asyncio.Queue()
    await socket.send_text(ok_response(type="reply", id=hello["id"], command="hello", ok=True))
    both = [asyncio.create_task(listener(socket, sub)), asyncio.create_task(poster(socket, events))]
    try:
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in both:
            task.cancel()
        with contextlib.suppress(WebSocketDisconnect, asyncio.CancelledError, RuntimeError):
            await asyncio.gather(*both)
        queues.pop(sub, None)
        log.info("%s has gone", sub)
