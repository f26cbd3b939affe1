"""Questions that wait at the same moment are answered by one read: a thousand hellos by a dozen transactions.

One read is under way at a time, and the next one takes what has gathered meanwhile. So a question alone is
read at once, there is no timer, and nobody joins a read that began before he asked: what was committed before
a question is in its answer. Each set is answered from one snapshot.

A value that the database does not take fails the question that has it and no other: the set is read again in
halves. When the database is away all of the set are told, and nothing is read again here.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial

from sqlalchemy.exc import DataError

from starwire.store.reads import Answers, Question
from starwire.stream import Position

Asked = tuple[Question, asyncio.Future[Answers]]


class Gathering:
    """Gathers what hellos ask: streams of players, positions of streams, sessions. Lives on the event loop.

    Args:
        read: begins a read that answers these questions from one snapshot.
        most: names in one set, all questions together; a question with more is read alone.
    """

    def __init__(self, read: Callable[[Sequence[Question]], asyncio.Future[Answers]], *, most: int) -> None:
        self._read = read
        self._most = most
        self._waiting: deque[Asked] = deque()
        self._halves: deque[list[Asked]] = deque()
        self._reading = False

    async def streams_of(self, player: str) -> dict[str, Position]:
        """The streams that a player hears, and where each stands: all of one snapshot."""
        answers = await self._ask(Question(players=(player,)))
        return {name: answers.positions[name] for name in answers.granted[player]}

    async def positions(self, streams: Sequence[str]) -> dict[str, Position]:
        """Where these streams stand."""
        answers = await self._ask(Question(streams=tuple(streams)))
        return {name: answers.positions[name] for name in streams}

    async def session_is_live(self, session: str) -> bool:
        """Whether a login session exists and was not revoked."""
        return session in (await self._ask(Question(sessions=(session,)))).live

    async def _ask(self, question: Question) -> Answers:
        future: asyncio.Future[Answers] = asyncio.get_running_loop().create_future()
        self._waiting.append((question, future))
        self._begin()
        return await future

    def _begin(self) -> None:
        """Read the next set, unless one is being read."""
        while not self._reading and (asked := self._take()):
            try:
                reading = self._read([question for question, _ in asked])
            except Exception as error:  # noqa: BLE001 - handed to whoever asked
                self._fail(asked, error)
                continue
            self._reading = True
            reading.add_done_callback(partial(self._end, asked))

    def _take(self) -> list[Asked]:
        if self._halves:
            return self._halves.popleft()
        taken: list[Asked] = []
        names = 0
        while self._waiting:
            question, future = self._waiting[0]
            names += question.names
            if taken and names > self._most:
                break
            self._waiting.popleft()
            taken.append((question, future))
        return taken

    def _end(self, asked: list[Asked], reading: asyncio.Future[Answers]) -> None:
        self._reading = False
        if reading.cancelled():
            for _, future in asked:
                future.cancel()
        elif (error := reading.exception()) is not None:
            self._fail(asked, error)
        else:
            for _, future in asked:
                if not future.done():
                    future.set_result(reading.result())
        self._begin()

    def _fail(self, asked: list[Asked], error: BaseException) -> None:
        if len(asked) > 1 and isinstance(error, (DataError, ValueError)):
            middle = len(asked) // 2
            self._halves.extend((asked[:middle], asked[middle:]))
            return
        for _, future in asked:
            if not future.done():
                future.set_exception(error)
