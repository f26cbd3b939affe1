"""The game under load on a cluster: bots at both gateways, and everything judged afterwards.

The bots and the checker are those of `tests/chaos`; only where the database is read from differs.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from random import Random

import psycopg
from psycopg.rows import dict_row

from starwire.client import guest
from tests.chaos.bot import Bot
from tests.chaos.checker import complaints
from tests.chaos.history import Database, History, Row, Seen, Witness, collect
from tests.distributed.watching import eventually
from tests.services import Cluster

GOES_ON_SECONDS = 10.0
"""So soon after a fault is over, everything must go on by itself."""
SETTLE_SECONDS = 20.0
ENOUGH = 20
TIMER_SECONDS = 1.0
"""What fell due so shortly before a look may still be on its way."""
PACES = ((3600,), (60, 3600), (3600,), ())
"""Of the universes that each of the players creates; they also join each other's."""


class Play:
    """Players on a cluster, one Play for each test. Whoever played in an earlier one has left for good.

    ``witnesses`` are of all of them: what they did is still there, and judged again.
    """

    def __init__(self, cluster: Cluster, rng: Random, witnesses: list[Witness]) -> None:
        self.cluster = cluster
        self.bots: list[Bot] = []
        self.doors = [asyncio.Event() for _ in cluster.urls]
        """Of each gateway: whether it can be reached."""
        self._rng = rng
        self._witnesses = witnesses
        self._playing = asyncio.Event()

    @classmethod
    @asynccontextmanager
    async def on(cls, cluster: Cluster, rng: Random, witnesses: list[Witness]) -> AsyncIterator[Play]:
        """Everybody plays while the block runs; then all comes to rest and is judged."""
        play = cls(cluster, rng, witnesses)
        await play._invite()
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(act()) for bot in play.bots for act in (bot.live, bot.play)]
            try:
                play._playing.set()
                await play.goes_on("the beginning")
                yield play
                found = await play._come_to_rest()
                assert not found, "\n".join(found[:20])
                print(f"{play.carried_out} orders were carried out")
                assert play.carried_out > ENOUGH, "too little happened to prove anything"
            finally:
                for task in tasks:
                    task.cancel()

    async def goes_on(self, after: str) -> float:
        """Wait until every player's new order was carried out and told, and work has been completed.

        Gives how many seconds that took.

        Raises:
            AssertionError: it took too long.
        """
        since = time.monotonic()
        orders = {bot: len(bot.witness.orders) for bot in self.bots}
        now = datetime.now(UTC)

        def again() -> bool:
            carried_out = all(
                any(order.answered and order.replies[0]["ok"] for order in bot.witness.orders[orders[bot] :])
                for bot in self.bots
            )
            completed = any(
                event.event == "process_completed" and event.at > now
                for bot in self.bots
                for seen in bot.witness.seen.values()
                for event in seen.events[-200:]
            )
            return carried_out and completed

        await eventually(again, f"the game to go on after {after}", seconds=GOES_ON_SECONDS)
        return time.monotonic() - since

    @property
    def carried_out(self) -> int:
        """How many orders were answered with ok."""
        orders = [order for bot in self.bots for order in bot.witness.orders]
        return sum(order.answered and bool(order.replies[0]["ok"]) for order in orders)

    async def _invite(self) -> None:
        codes: dict[int, str] = {}
        for number, paces in enumerate(PACES):
            gateway = number % len(self.doors)
            url, account = self.cluster.urls[gateway], await guest(self.cluster.urls[gateway])
            rng = Random(self._rng.getrandbits(64))
            name = f"{len(self._witnesses)}"
            bot = Bot(name, url, dict(account), paces=paces, rng=rng, codes=codes,
                      up=self.doors[gateway], playing=self._playing)  # fmt: skip
            self.bots.append(bot)
            self._witnesses.append(bot.witness)
        for door in self.doors:
            door.set()

    async def _come_to_rest(self) -> list[str]:
        """Give no more orders, wait until everything is answered, done and told, and judge it all."""
        self._playing.clear()
        deadline = time.monotonic() + SETTLE_SECONDS
        while True:
            asked = datetime.now(UTC)
            for order in [order for bot in self.bots for order in bot.unanswered if order.put_off]:
                bot = next(bot for bot in self.bots if order in bot.witness.orders)
                await bot._transmit(order)
            calm = all(bot.connected.is_set() and not bot.unanswered for bot in self.bots)
            database = await asyncio.to_thread(read_postgres, self.cluster.database)
            late = [each for each in database.live if each.run_at < asked - timedelta(seconds=TIMER_SECONDS)]
            if calm and not late:
                break
            if time.monotonic() > deadline:
                unanswered = [order for bot in self.bots for order in bot.unanswered]
                return [f"it does not come to rest: unanswered {unanswered}, late {late}"]
            await asyncio.sleep(0.05)
        await eventually(lambda: not self._behind(database), "everybody to hear everything")
        here = [bot.witness for bot in self.bots]
        gone = [Witness(each.player, each.orders, {}) for each in self._witnesses if each not in here]
        witnesses = [*gone, *(_up_to(database, witness) for witness in here)]
        return complaints(History(database, witnesses, asked - timedelta(seconds=TIMER_SECONDS)))

    def _behind(self, database: Database) -> list[tuple[Bot, str]]:
        return [
            (bot, stream)
            for bot in self.bots
            for stream in bot.witness.seen
            if bot.cursor(stream) < database.heads.get(stream, 0)
        ]


def read_postgres(url: str) -> Database:
    """Everything, in one snapshot."""
    with psycopg.connect(url, row_factory=dict_row) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ

        def rows(query: str) -> list[Row]:
            return connection.execute(query.encode()).fetchall()

        return collect(rows, [])


def _up_to(database: Database, witness: Witness) -> Witness:
    """The witness without what was told after the database was read."""
    seen = {
        stream: Seen(each.after, each.events[: max(0, database.heads.get(stream, 0) - each.after)])
        for stream, each in witness.seen.items()
    }
    return Witness(witness.player, witness.orders, seen)
