"""A crowd at the gateways: hundreds of players with bad luck, and gateways that die meanwhile.

Most are `Member`s, some use the shipped client (`Shipped`). When it is over, everybody comes to rest, and the
ledger is compared with what each of them was answered and told (`audit.py`). All choices come from the seed;
what the machine does between two of them does not.
"""

import asyncio
import sqlite3
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any, NamedTuple, Protocol

import psycopg
from psycopg.rows import dict_row

from starwire.client import guest
from tests.chaos import checker
from tests.chaos.audit import INK, Ledger, complaints, read_ledger
from tests.chaos.history import History, Row, Seen, Witness, rows_of, unsound
from tests.chaos.member import Member
from tests.chaos.shipped import Shipped
from tests.services import Cluster
from tests.support.server import ServerProcess

APP = "tests.support.ledger:app"
SETTINGS: dict[str, Any] = {
    "access_seconds": "86400",  # tokens that run out are another test's subject
    "guests_per_minute": "100000",
    "log_level": "warning",
    "stalled_seconds": "6",  # so that some of the slow readers are thrown out, and come back
    "write_high_bytes": "65536",
}
REST_SECONDS = 60.0
TIMER_SECONDS = 1.0
"""What fell due so shortly before a look may still be on its way."""
REST_GLANCE_SECONDS = 0.2
"""Between two looks at everything, which cost more than others."""
ROOM = 10
"""Members of a room."""
LOUD_BYTES = 60_000
LOUD_HASTE = 2.0
"""So much oftener its members give orders: what they tell must fill the kernels of both sides."""


class Size(NamedTuple):
    """How large a campaign is."""

    clients: int
    shipped: int
    slow: int
    slow_seconds: float
    """The longest time in which a slow reader reads nothing."""
    seconds: float
    pause: float
    """Seconds between two orders of a client, on average."""
    faults: int


class Site(Protocol):
    """Where the gateways are."""

    urls: list[str]
    doors: list[asyncio.Event]
    """Of each gateway: whether it can be reached."""
    logs: list[Path]
    """Of each server."""

    async def open(self) -> None:
        """Start everything."""
        ...

    async def fault(self, number: int, rng: Random) -> str:
        """Have something happen to a gateway, and say what; it is back when this returns."""
        ...

    def read(self) -> Ledger:
        """Everything in the database, in one snapshot."""
        ...

    def close(self) -> list[str]:
        """Stop everything; what was wrong with that."""
        ...


class Alone:
    """The embedded engine: one server, killed and stopped in turn."""

    def __init__(self, folder: Path) -> None:
        self.server = ServerProcess(folder, app=APP, **SETTINGS)
        self.urls = [self.server.url]
        self.doors = [asyncio.Event()]
        self.logs = [self.server.log]

    async def open(self) -> None:
        await asyncio.to_thread(self.server.start)
        self.doors[0].set()

    async def fault(self, number: int, rng: Random) -> str:
        self.doors[0].clear()
        killed = number % 2 == 1
        if killed:
            self.server.kill()
        else:
            code = await asyncio.to_thread(self.server.stop)
            assert code == 0, f"SIGTERM ended the server with {code}:\n{self.server.tail()}"
        await self.open()
        return "SIGKILL" if killed else "SIGTERM"

    def read(self) -> Ledger:
        connection = sqlite3.connect(f"file:{self.server.database}?mode=ro", uri=True, isolation_level=None)
        try:
            connection.execute("BEGIN")
            rows = rows_of(connection)
            return read_ledger(rows, unsound(rows))
        finally:
            connection.close()

    def close(self) -> list[str]:
        code = self.server.stop()
        return [] if code == 0 else [f"SIGTERM ended the server with {code}"]


class Several:
    """The distributed engine: two gateways, killed and stopped in turn, each by turns."""

    def __init__(self, folder: Path, database: str) -> None:
        self.cluster = Cluster(folder, database, app=APP, **SETTINGS)
        self.urls = self.cluster.urls
        self.doors = [asyncio.Event() for _ in self.urls]
        roles = ("gateway", "worker", "scheduler")
        self.logs = [self.cluster.log(role, number) for role in roles for number in (1, 2)]

    async def open(self) -> None:
        await asyncio.to_thread(self.cluster.start)
        for door in self.doors:
            door.set()

    async def fault(self, number: int, rng: Random) -> str:
        killed, which = number % 2 == 1, number // 2 % len(self.doors)
        self.doors[which].clear()
        if killed:
            self.cluster.kill("gateway", which + 1)
        await asyncio.to_thread(self.cluster.restart, "gateway", which + 1)
        self.doors[which].set()
        return f"{'SIGKILL' if killed else 'SIGTERM'} of gateway {which + 1}"

    def read(self) -> Ledger:
        with psycopg.connect(self.cluster.database, row_factory=dict_row) as connection:
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ

            def rows(query: str) -> list[Row]:
                return connection.execute(query.encode()).fetchall()

            return read_ledger(rows, drops_what_is_late=True)

    def close(self) -> list[str]:
        self.cluster.close()
        return []


@dataclass
class Tally:
    """What a campaign was made of."""

    clients: int
    faults: Counter[str] = field(default_factory=Counter)
    troubles: Counter[str] = field(default_factory=Counter)
    commands: int = 0
    sent: int = 0
    carried_out: int = 0
    events: int = 0
    told: int = 0
    stalled: int = 0
    """Readers that were so slow that the server ended their connections."""
    seconds: float = 0.0


class Crowd:
    """Everybody, and what happens to them.

    Args:
        site: where they play.
        size: how many, how long.
        rng: all choices.
        say: is told how it goes.
    """

    def __init__(self, site: Site, size: Size, rng: Random, say: Callable[[str], None]) -> None:
        self.clients: list[Member | Shipped] = []
        self.tally = Tally(size.clients)
        self._site = site
        self._size = size
        self._rng = rng
        self._say = say
        self._playing = asyncio.Event()
        self._settled_at: datetime | None = None

    async def run(self) -> list[str]:
        """Play, suffer, come to rest; what was wrong, if anything."""
        began = time.monotonic()
        found: list[str] = []
        await self._site.open()
        try:
            await self._invite()
            async with self._everybody():
                self._playing.set()
                await self._have_faults()
                self._playing.clear()
                found = await self._come_to_rest()
        finally:
            wrong = await asyncio.to_thread(self._site.close)
            self.tally.seconds = time.monotonic() - began
        return found + wrong + self._read_logs()

    def _read_logs(self) -> list[str]:
        """Count the stalled; give the errors."""
        lines = [line for log in self._site.logs for line in log.read_text(errors="replace").splitlines()]
        self.tally.stalled = sum("stalled " in line for line in lines)
        return [f"logged: {line}" for line in lines if "[error" in line or "Traceback" in line]

    async def _invite(self) -> None:
        size = self._size
        for number in range(size.clients):
            gateway = number % len(self._site.urls)
            urls = [*self._site.urls[gateway:], *self._site.urls[:gateway]]
            account = dict(await guest(urls[0]))
            rng, name = Random(self._rng.getrandbits(64)), f"c{number}"
            if number < size.shipped:
                client: Member | Shipped = Shipped(
                    name, urls[0], account, room=1 + number // ROOM, pause=size.pause, rng=rng,
                    playing=self._playing,
                )  # fmt: skip
            else:
                slow = number >= size.clients - size.slow
                client = Member(
                    name, urls, account, room=0 if slow else 1 + number // ROOM, rng=rng,
                    pause=size.pause / LOUD_HASTE if slow else size.pause,
                    up=self._site.doors[gateway], playing=self._playing,
                    loud=LOUD_BYTES if slow else 0, slow=size.slow_seconds if slow else 0.0,
                )  # fmt: skip
            self.clients.append(client)

    @asynccontextmanager
    async def _everybody(self) -> AsyncIterator[None]:
        """All live, play and suffer; what one of them finds wrong ends the campaign."""
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(act()) for each in self.clients for act in (each.live, each.play)]
            tasks += [group.create_task(each.suffer()) for each in self.clients if isinstance(each, Member)]
            try:
                yield
            finally:
                for task in tasks:
                    task.cancel()

    async def _have_faults(self) -> None:
        """So many of them, spread over the time."""
        ends = time.monotonic() + self._size.seconds
        for number in range(1, self._size.faults + 1):
            share = (ends - time.monotonic()) / (self._size.faults + 1 - number)
            await asyncio.sleep(max(0.5, share * self._rng.uniform(0.5, 1.0)))
            began = time.monotonic()
            what = await self._site.fault(number, self._rng)
            self.tally.faults[what] += 1
            commands = sum(len(each.witness.orders) for each in self.clients)
            self._say(f"{what}: back after {time.monotonic() - began:.1f} s; {commands} commands so far")
        await asyncio.sleep(max(1.0, ends - time.monotonic()))

    # At the end

    async def _come_to_rest(self) -> list[str]:
        """Wait until all is answered, done and told; what is wrong then."""
        try:
            async with asyncio.timeout(REST_SECONDS):
                while (ledger := await self._at_rest()) is None:  # noqa: ASYNC110 - nobody tells when it is so
                    await asyncio.sleep(REST_GLANCE_SECONDS)
        except TimeoutError:
            return [f"it does not come to rest: {self._unfinished()}"]
        history = History(ledger, [_up_to(ledger, each.witness) for each in self.clients], self._settled_at)
        self._count(history)
        overheard = [witness for each in self.clients for witness in each.overheard]
        second = checker.players_were_told_each_event_once(History(ledger, overheard))
        return [*complaints(history), *(f"on a second connection: {each}" for each in second)]

    async def _at_rest(self) -> Ledger | None:
        """What the database holds, once all is answered, all ink dry, and everything told to everybody."""
        if not await self._is_calm():
            return None
        self._settled_at = datetime.now(UTC) - timedelta(seconds=TIMER_SECONDS)
        ledger = await asyncio.to_thread(self._site.read)
        wet = any(each.kind == INK for each in ledger.live)
        return None if wet or self._behind(ledger) else ledger

    async def _is_calm(self) -> bool:
        for each in self.clients:
            if isinstance(each, Member):
                for order in [order for order in each.unanswered if order.put_off]:
                    await each._transmit(order)
        return all(each.connected.is_set() and not each.unanswered for each in self.clients)

    def _behind(self, ledger: Ledger) -> list[str]:
        return [
            f"{each.witness.player} in {stream}"
            for each in self.clients
            for stream in each.witness.seen
            if each.cursor(stream) < ledger.heads.get(stream, 0)
        ]

    def _unfinished(self) -> str:
        away = [each.witness.player for each in self.clients if not each.connected.is_set()]
        unanswered = [order for each in self.clients for order in each.unanswered]
        return f"away {away[:10]}, unanswered {len(unanswered)}: {unanswered[:10]}"

    def _count(self, history: History) -> None:
        tally, orders = self.tally, [order for each in history.witnesses for order in each.orders]
        for each in self.clients:
            tally.troubles.update(each.troubles)
        tally.commands = len(orders)
        tally.sent = sum(order.sent for order in orders)
        tally.carried_out = sum(reply["ok"] for reply in history.database.replies.values())
        tally.events = sum(map(len, history.database.events.values()))
        tally.told = sum(len(seen.events) for each in history.witnesses for seen in each.seen.values())


def _up_to(ledger: Ledger, witness: Witness) -> Witness:
    """The witness without what was told after the database was read."""
    seen = {
        stream: Seen(each.after, each.events[: max(0, ledger.heads.get(stream, 0) - each.after)])
        for stream, each in witness.seen.items()
    }
    return Witness(witness.player, witness.orders, seen)
