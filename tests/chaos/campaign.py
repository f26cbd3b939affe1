"""A game that is killed again and again: bots play, the server dies by SIGKILL at chosen moments, and rises.

After every death the database at rest is judged, after every return the server that has settled, and at the
end everything. All choices come from the seed; what the machine does between two of them does not, so that
a replay repeats the script and the kinds of moments, not the nanosecond.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Literal, NamedTuple

from tests.chaos.bot import Bot
from tests.chaos.checker import complaints
from tests.chaos.history import Database, History, Seen, Witness, read_at_rest, read_running
from tests.support.server import GLANCE_SECONDS, PATIENCE_SECONDS, ServerProcess

Kind = Literal["starting", "listening", "sent", "heard", "due", "later"]
KINDS: tuple[Kind, ...] = ("starting", "listening", "sent", "heard", "due", "later")
SECONDS: dict[Kind, tuple[float, float]] = {
    "starting": (0.0, 1.2),  # after the OS process began: migrations, recovery, what fell due
    "listening": (0.0, 0.08),  # after it listens: everybody comes back at once and repeats what was open
    "sent": (0.0, 0.004),  # after a command was sent
    "heard": (0.0, 0.003),  # after an event was heard
    "due": (-0.002, 0.006),  # around the due time of a process
    "later": (0.2, 2.5),  # whenever
}
PASSES = (5, 60)
"""So many commands or events are let pass before the one that counts."""
LONGEST_LIFE_SECONDS = 6.0
TIMER_SECONDS = 0.5
"""What fell due so shortly before a look may still be on its way."""
PLAYERS = {"ann": (3600,), "ben": (60, 3600), "cho": (3600, 60), "dee": ()}
"""Who plays, and the paces of the universes that each creates; they also join each other's."""


class Doom(NamedTuple):
    """When to kill: the kind of moment, how many of its occasions to let pass, and how many seconds after."""

    kind: Kind
    passes: int
    seconds: float

    @classmethod
    def draw(cls, kind: Kind, rng: Random) -> "Doom":
        return cls(kind, rng.randint(*PASSES), rng.uniform(*SECONDS[kind]))


@dataclass
class Tally:
    """What a campaign was made of."""

    kills: int = 0
    commands: int = 0
    sent: int = 0
    carried_out: int = 0
    universes: int = 0
    processes: int = 0
    events: int = 0
    told: int = 0
    seconds: float = 0.0


class Campaign:
    """One server, its players, and death.

    Args:
        folder: for the server's data and log.
        rng: all choices.
        say: is told how it goes.
    """

    def __init__(self, folder: Path, rng: Random, say: Callable[[str], None]) -> None:
        # A day: tokens that run out are another test's subject.
        self.server = ServerProcess(folder, access_seconds="86400", log_level="warning")
        self.bots: list[Bot] = []
        self.tally = Tally()
        self._folder = folder
        self._rng = rng
        self._say = say
        self._up = asyncio.Event()
        self._playing = asyncio.Event()
        self._struck = asyncio.Event()
        self._awaited: tuple[str, int] = ("", 0)

    async def run(self, kinds: list[Kind]) -> list[str]:
        """Kill once for each kind, then let the game come to rest; what was wrong, if anything."""
        began = time.monotonic()
        try:
            await self._make_bots()
            async with self._everybody():
                for number, kind in enumerate(kinds, start=1):
                    doom = Doom.draw(kind, self._rng)
                    found = await self._live_and_die(doom)
                    self._say(f"kill {number} of {len(kinds)}: {doom}")
                    if found:
                        return found
                return await self._last_life()
        finally:
            self._up.clear()
            self.server.close()
            self.tally.seconds = time.monotonic() - began

    async def _make_bots(self) -> None:
        """Accounts are made in peace, by a server that stops in order."""
        await self._rise()
        codes: dict[int, str] = {}
        for name, paces in PLAYERS.items():
            account = await asyncio.to_thread(self.server.post, "/auth/guest", {})
            rng = Random(self._rng.getrandbits(64))
            bot = Bot(name, self.server.url, account, paces=paces, rng=rng, codes=codes,
                      up=self._up, playing=self._playing)  # fmt: skip
            bot.happened = self._notice
            self.bots.append(bot)
        self._up.clear()
        await asyncio.to_thread(self.server.stop)

    @asynccontextmanager
    async def _everybody(self) -> AsyncIterator[None]:
        """All bots live and play; what one of them finds wrong ends the campaign."""
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(act()) for bot in self.bots for act in (bot.live, bot.play)]
            try:
                yield
            finally:
                for task in tasks:
                    task.cancel()

    # Lives and deaths

    async def _live_and_die(self, doom: Doom) -> list[str]:
        """One life; what was wrong with it, or with what it left."""
        if doom.kind == "starting":
            self.server.spawn()
        else:
            await self._rise()
        if doom.kind not in {"starting", "listening"}:
            if found := await self._settle():
                return found
            await self._play_until(doom)
        # Waiting for nothing in particular is the point: any moment must do.
        await asyncio.sleep(max(0.0, doom.seconds))
        self._up.clear()
        self._playing.clear()
        self.server.kill()
        self.tally.kills += 1
        database = await asyncio.to_thread(read_at_rest, self.server.database, self._folder / "aside")
        if database is None:
            return []
        return self._judge(History(database, [bot.witness for bot in self.bots]), f"at rest after {doom}")

    async def _rise(self) -> None:
        """Start the server, and let everybody know when it listens."""
        self.server.spawn()
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                if self.server.listens():
                    break
                await asyncio.sleep(GLANCE_SECONDS)
        self._up.set()

    async def _play_until(self, doom: Doom) -> None:
        """Play on until the moment comes, or for the longest of lives."""
        self._await("heard" if doom.kind == "heard" else "sent", doom.passes)
        self._playing.set()
        if doom.kind == "later":
            return
        try:
            async with asyncio.timeout(LONGEST_LIFE_SECONDS):
                await self._struck.wait()
                if doom.kind == "due":
                    await asyncio.sleep(self._seconds_to_due() + doom.seconds)
        except TimeoutError:
            self._say(f"{doom} did not come; killed all the same")

    def _seconds_to_due(self) -> float:
        now = datetime.now(UTC)
        coming = [at for bot in self.bots for at in bot.due.values() if at > now + timedelta(milliseconds=2)]
        return (min(coming, default=now) - now).total_seconds()

    def _await(self, what: str, passes: int) -> None:
        self._struck.clear()
        self._awaited = (what, passes)

    def _notice(self, what: str) -> None:
        awaited, passes = self._awaited
        if what == awaited:
            self._awaited = (awaited, passes - 1)
            if passes <= 1:
                self._struck.set()

    async def _last_life(self) -> list[str]:
        """Play once more, come to rest, stop in order; everything must be right then."""
        await self._rise()
        if found := await self._settle():
            return found
        self._await("sent", PASSES[1])
        self._playing.set()
        async with asyncio.timeout(PATIENCE_SECONDS):
            await self._struck.wait()
        self._playing.clear()
        if found := await self._settle():
            return found
        self._up.clear()
        code = await asyncio.to_thread(self.server.stop)
        found = [] if code == 0 else [f"SIGTERM ended the server with {code}"]
        return found + self._errors_logged()

    def _errors_logged(self) -> list[str]:
        lines = self.server.log.read_text(errors="replace").splitlines()
        return [f"logged: {line}" for line in lines if "[error" in line or "Traceback" in line]

    # Looking

    async def _settle(self) -> list[str]:
        """Wait until everybody is back and answered and nothing is late, then judge; what is wrong."""
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                while True:
                    asked = datetime.now(UTC)
                    calm = all(bot.connected.is_set() and not bot.unanswered for bot in self.bots)
                    if calm and await asyncio.to_thread(self.server.lateness) == 0:
                        break
                    await asyncio.sleep(GLANCE_SECONDS)
                database = await asyncio.to_thread(read_running, self.server.database)
                await self._hear_out(database)
        except TimeoutError:
            open_orders = [order for bot in self.bots for order in bot.unanswered]
            late = self.server.lateness()
            return [f"it does not settle: lateness {late}, unanswered {open_orders}\n{self.server.tail()}"]
        witnesses = [_up_to(database, bot.witness) for bot in self.bots]
        settled_at = asked - timedelta(seconds=TIMER_SECONDS)
        return self._judge(History(database, witnesses, settled_at), "when settled")

    async def _hear_out(self, database: Database) -> None:
        """Wait until all bots have been told at least what the database holds."""
        while True:
            behind = [
                (bot, stream)
                for bot in self.bots
                for stream in bot.witness.seen
                if bot.cursor(stream) < database.heads.get(stream, 0)
            ]
            if not behind:
                return
            await asyncio.sleep(GLANCE_SECONDS)

    def _judge(self, history: History, when: str) -> list[str]:
        database = history.database
        finished, live = database.finished, database.live
        self.tally.commands = sum(len(witness.orders) for witness in history.witnesses)
        self.tally.sent = sum(order.sent for witness in history.witnesses for order in witness.orders)
        self.tally.carried_out = sum(reply["ok"] for reply in database.replies.values())
        self.tally.universes = len(database.universes)
        self.tally.processes = len(finished) + len(live)
        self.tally.events = sum(map(len, database.events.values()))
        self.tally.told = sum(
            len(seen.events) for witness in history.witnesses for seen in witness.seen.values()
        )
        return [f"{when}: {found}" for found in complaints(history)]


def _up_to(database: Database, witness: Witness) -> Witness:
    """The witness without what was told after the database was read."""
    seen = {
        stream: Seen(each.after, each.events[: max(0, database.heads.get(stream, 0) - each.after)])
        for stream, each in witness.seen.items()
    }
    return Witness(witness.player, witness.orders, seen)
