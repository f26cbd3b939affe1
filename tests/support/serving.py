"""A real server on a real port, in this OS process; and a cable to it that can be cut."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import starwire
from starwire.config import Settings
from starwire.server import Server, serve


@asynccontextmanager
async def serving(app: starwire.App, data: Path, **settings: Any) -> AsyncIterator[Server]:
    """A server that listens while the block runs; on any free port unless one is given."""
    started: asyncio.Future[Server] = asyncio.get_running_loop().create_future()
    chosen = Settings(**{"port": 0, "dev": True, "data": data, **settings})
    running = asyncio.ensure_future(serve(app, chosen, started=started.set_result))
    both: list[asyncio.Future[Any]] = [started, running]
    await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
    if running.done():
        running.result()
    try:
        yield started.result()
    finally:
        started.result().stop()
        await running


class Cable:
    """Carries bytes to a server; ``cut`` ends every connection, ``deaf`` loses what the server says."""

    def __init__(self, port: int) -> None:
        self.port = 0
        self.deaf = False
        self.connections = 0
        self._to = port
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    @classmethod
    @asynccontextmanager
    async def to(cls, server: Server) -> AsyncIterator["Cable"]:
        """A cable to a server, on a port of its own."""
        cable = cls(server.port)
        listening = await asyncio.start_server(cable._accept, "127.0.0.1", 0)
        cable.port = listening.sockets[0].getsockname()[1]
        try:
            yield cable
        finally:
            listening.close()
            cable.cut()
            await asyncio.gather(*cable._tasks, return_exceptions=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def cut(self) -> None:
        """End every connection without a word."""
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        there, back = await asyncio.open_connection("127.0.0.1", self._to)
        self._writers |= {writer, back}
        for source, sink, answers in ((reader, back, False), (there, writer, True)):
            task = asyncio.ensure_future(self._carry(source, sink, answers=answers))
            self._tasks.add(task)

    async def _carry(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, answers: bool
    ) -> None:
        try:
            while data := await source.read(65_536):
                if not (answers and self.deaf):
                    sink.write(data)
                    await sink.drain()
        except OSError:
            pass
        finally:
            sink.close()
