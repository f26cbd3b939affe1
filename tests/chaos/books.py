"""The books of every universe, kept beside the game: from its events and the pure rules alone.

What there was, what grew at the rates that held, less what was paid and lost, plus what came back and was
found, is what there is; a level is the number of its completions; a queue is what was ordered and neither
completed nor taken back. Every event and at the end every row is compared with that.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import SimpleNamespace
from typing import Any

from herebedragons import rules, sky
from herebedragons.rules import Price, Stock, Structure
from tests.chaos.history import Database, Event, History, Process, Row, moment

HOME = 1
CENT = 1e-6
"""Sums are made in another order here than in the game; more than a rounding error they cannot differ."""


def books_balance(history: History) -> Iterator[str]:
    """Every universe's events and rows are what its books say."""
    database = history.database
    refunds = {
        (witness.player, order.args["universe"], order.args["construction"]): reply["result"]["refund"]
        for witness in history.witnesses
        for order in witness.orders
        if order.command == "cancel_construction"
        and (reply := database.replies.get((witness.player, order.id))) is not None
        and reply["ok"]
    }
    for universe in database.universes:
        books = Books(universe, database)
        for event in database.universe_stream(universe["id"]):
            books.follow(event)
        books.compare_with_rows(database)
        for (player, id, construction), refund in refunds.items():
            if id == universe["id"]:
                books.expect(books.refunds.get(construction), refund, f"the refund told to {player}")
        yield from (f"universe {universe['id']}: {found}" for found in books.complaints)


@dataclass
class Entry:
    """An order in the queue."""

    construction: int
    structure: Structure
    level: int

    @property
    def price(self) -> Price:
        return rules.cost(self.structure, self.level)


@dataclass
class Books:
    """Of one universe and its one planet."""

    universe: Row
    database: Database
    stock: Stock = field(init=False)
    levels: dict[Structure, int] = field(default_factory=lambda: dict.fromkeys(Structure, 0))
    queue: list[Entry] = field(default_factory=list)
    refunds: dict[int, Row] = field(default_factory=dict)
    discovered: dict[int, datetime] = field(default_factory=dict)
    probed: dict[int, datetime] = field(default_factory=dict)
    visits: int = 0
    ordered: int = 0
    name: str | None = None
    complaints: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        begun = moment(self.universe["created_at"])
        self.stock = Stock(float(rules.START.metal), float(rules.START.crystal), begun)
        self._processes = {process.id: process for process in (*self.database.live, *self.database.finished)}
        self._finished: dict[tuple[str, datetime | None], list[Process]] = {}
        for process in self.database.finished:
            if process.state == "completed" and process.data.get("universe") == self.universe["id"]:
                self._finished.setdefault((process.kind, process.finished_at), []).append(process)

    def expect(self, ours: object, theirs: object, what: str) -> None:
        """The game must say what the books say."""
        if ours != theirs:
            self.complaints.append(f"{what} is {theirs}; the books say {ours}")

    def follow(self, event: Event) -> None:
        """Enter one event, and see that it says what the books say."""
        entry = getattr(self, f"_{event.event}", None)
        if entry is None:
            return
        self.grow(event.at)
        entry(event, event.data)
        where = f"{event.event} at offset {event.offset}:"
        if "resources" in event.data:
            self._compare_stock(event.data["resources"], where)
        if "queue" in event.data:
            theirs = [
                (each["construction"], each["structure"], each["level"]) for each in event.data["queue"]
            ]
            ours = [(each.construction, each.structure.value, each.level) for each in self.queue]
            self.expect(ours, theirs, f"{where} the queue")

    def grow(self, now: datetime) -> None:
        self.stock = self.stock.until(now, self.levels, self.universe["pace"])

    def _compare_stock(self, theirs: Row, where: str) -> None:
        for what, ours in (("metal", self.stock.metal), ("crystal", self.stock.crystal)):
            if abs(ours - theirs[what]) > CENT:
                self.complaints.append(f"{where} {what} is {theirs[what]}; the books say {ours}")
        if min(self.stock.metal, self.stock.crystal) < -CENT:
            self.complaints.append(f"{where} something is owed: {self.stock}")

    def _completed(self, kind: str, event: Event) -> Process | None:
        """The process whose end an event is; nothing else may have this effect."""
        ended = self._finished.get((kind, event.at))
        if not ended:
            self.complaints.append(f"{event} is the effect of no {kind} that ended then")
            return None
        return ended.pop(0)

    # What happens, by the names of the events

    def _construction_queued(self, event: Event, data: Row) -> None:
        told = data["construction"]
        structure = Structure(told["structure"])
        planned = rules.with_queue(self.levels, [each.structure for each in self.queue])
        entry = Entry(told["construction"], structure, planned[structure] + 1)
        self.ordered += 1
        self.expect(self.ordered, entry.construction, f"{event.event} at offset {event.offset}: the number")
        self.expect(entry.price._asdict(), told["cost"], f"the price of {entry}")
        self.queue.append(entry)
        self._pay(entry.price, event)

    def _construction_begun(self, event: Event, data: Row) -> None:
        if not self.queue:
            self.complaints.append(f"{event} begins what nobody ordered")
            return
        told, first = data["construction"], self.queue[0]
        process = self._processes.get(told["process"])
        seconds = rules.build_seconds(first.structure, first.level)
        due = event.at + rules.real(seconds, self.universe["pace"])
        self.expect(first.construction, told["construction"], "what begins")
        self.expect(
            (event.at, due), (moment(told["started_at"]), moment(told["due_at"])), f"times of {first}"
        )
        if process is None:
            self.complaints.append(f"{first} begins, and its process {told['process']} does not exist")
        else:
            self.expect(
                (event.at, due), (process.started_at, process.due_at), f"times of process {process.id}"
            )

    def _construction_complete(self, event: Event, data: Row) -> None:
        process = self._completed("construct", event)
        if not self.queue:
            self.complaints.append(f"{event} completes what nobody ordered")
            return
        first = self.queue.pop(0)
        done = (first.structure.value, self.levels[first.structure] + 1)
        self.expect(done, (data["structure"], data["level"]), f"what is complete at offset {event.offset}")
        if process is not None:
            theirs = (process.data["construction"], process.data["structure"], process.data["level"])
            self.expect((first.construction, *done), theirs, f"process {process.id}")
        self.levels[first.structure] += 1

    def _construction_cancelled(self, event: Event, data: Row) -> None:
        gone = next((each for each in self.queue if each.construction == data["construction"]), None)
        if gone is None:
            self.complaints.append(f"{event} takes back what is not in the queue")
            return
        rest, vacant = [], gone
        for each in self.queue:
            if each is gone:
                continue
            if each.structure is gone.structure and self.queue.index(each) > self.queue.index(gone):
                rest.append(replace(each, level=vacant.level))
                vacant = each
            else:
                rest.append(each)
        self.queue = rest
        self.stock = self.stock.plus(vacant.price)
        self.refunds[gone.construction] = vacant.price._asdict()

    def _probe_sent(self, event: Event, data: Row) -> None:
        self._pay(sky.PROBE_PRICE, event)

    def _probe_arrived(self, event: Event, data: Row) -> None:
        self._completed("probe", event)
        stars = {row["star"]: SimpleNamespace(**row) for row in self._stars()}
        there, here = stars[data["star"]["star"]], stars[sky.HOME]
        finding = sky.finding(self.universe["seed"], there, there.planets, sky.distance(here, there))
        self.expect(finding.found, data["found"], f"what is found at {there.name}")
        if there.star in self.probed:
            self.complaints.append(f"star {there.star} was visited twice")
        self.probed[there.star] = event.at
        self.stock = self.stock.plus(finding.haul)

    def _stars_discovered(self, event: Event, data: Row) -> None:
        self._completed("survey", event)
        for star in data["stars"]:
            if star["star"] in self.discovered:
                self.complaints.append(f"star {star['star']} was discovered twice")
            self.discovered[star["star"]] = event.at

    def _dragons_inbound(self, event: Event, data: Row) -> None:
        self._completed("sighting", event)
        self.visits += 1
        self.expect(rules.dragon_strength(self.visits), data["strength"], f"strength of visit {self.visits}")

    def _dragons_repelled(self, event: Event, data: Row) -> None:
        self._completed("dragons", event)
        self.expect(True, rules.repels(self.levels[Structure.SHIELD], data["strength"]), "the shield holds")

    def _dragons_raided(self, event: Event, data: Row) -> None:
        self._completed("dragons", event)
        self.expect(False, rules.repels(self.levels[Structure.SHIELD], data["strength"]), "the shield holds")
        self.stock, lost = rules.raided(self.stock)
        self.expect(lost._asdict(), data["lost"], "what the dragons took")

    def _planet_renamed(self, event: Event, data: Row) -> None:
        self.name = data["name"]

    def _pay(self, price: Price, event: Event) -> None:
        self.stock = Stock(self.stock.metal - price.metal, self.stock.crystal - price.crystal, self.stock.at)

    # At the end

    def _stars(self) -> list[Row]:
        return [row for row in self.database.stars if row["universe"] == self.universe["id"]]

    def compare_with_rows(self, database: Database) -> None:
        """What the tables hold is what the events led to."""
        for (kind, at), without_effect in self._finished.items():
            if without_effect and kind != "survey":  # one that finds nothing says nothing
                self.complaints.append(f"a {kind} completed at {at}, and nothing came of it")
        mine: Any = [row for row in database.planets if row["universe"] == self.universe["id"]]
        self.expect([HOME], [row["planet"] for row in mine], "the list of planets")
        for row in mine:
            self._compare_planet(row)
        ours = [(each.construction, each.structure.value, each.level, *each.price) for each in self.queue]
        theirs = [
            (row["construction"], row["structure"], row["level"], row["metal"], row["crystal"])
            for row in database.constructions
            if row["universe"] == self.universe["id"]
        ]
        self.expect(ours, theirs, "the table of constructions")
        self._compare_works(database)
        self._compare_sky()
        self.expect(
            (self.ordered, self.visits), (self.universe["orders"], self.universe["visits"]), "the count"
        )

    def _compare_planet(self, row: Row) -> None:
        stands = {structure: row[structure.value] for structure in Structure}
        self.expect(self.levels, stands, "what stands on the planet")
        if self.name is not None:
            self.expect(self.name, row["name"], "the planet's name")
        at = moment(row["at"])
        if at > self.stock.at:
            self.complaints.append(f"the planet was written at {at}, after the last event at {self.stock.at}")
        then = Stock(row["metal"], row["crystal"], at).until(
            self.stock.at, self.levels, self.universe["pace"]
        )
        self._compare_stock({"metal": then.metal, "crystal": then.crystal}, "the planet's row:")

    def _compare_works(self, database: Database) -> None:
        """One builder, at the first order; one pair of dragons always one while there is life."""
        mine = [process for process in database.live if process.data.get("universe") == self.universe["id"]]
        working = [process.data["construction"] for process in mine if process.kind == "construct"]
        self.expect([each.construction for each in self.queue[:1]], working, "what is being built")
        dragons = [process for process in mine if process.kind in {"sighting", "dragons"}]
        alive = self.universe["quiet_visits"] < rules.QUIET_VISITS
        self.expect(int(alive), len(dragons), "the number of dragons to come")

    def _compare_sky(self) -> None:
        known = {row["star"]: row["discovered_at"] for row in self._stars() if row["discovered_at"]}
        visited = {row["star"]: row["probed_at"] for row in self._stars() if row["probed_at"]}
        for table, what, ours in ((known, "known", self.discovered), (visited, "visited", self.probed)):
            theirs = {star: moment(at) for star, at in table.items() if star != sky.HOME}
            self.expect(ours, theirs, f"the list of {what} stars")
