"""A game that is played tells what its page says: on which stream, in which order and words, and no more."""

import copy
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from typing import Any

import pytest

from starwire.testing import Player, Push
from tests.game.story import Story, moment, story
from tests.unit.test_game_page import table, words

Chart = dict[str, Any]
FOLLOWED = ("universe", "name", "pace", "members", "stars", "probes", "processes", "dragons")
"""What of a chart is compared as it is; planets and the shield are taken apart."""


@dataclass
class Step:
    """A command, or some time: the chart before and after it, and what Ann was told."""

    before: Chart
    after: Chart
    told: list[Push]


@dataclass
class Diary:
    """A game, step by step."""

    arda: Story
    steps: list[Step] = field(default_factory=list)
    heard: int = 0
    chart: Chart = field(default_factory=dict)

    def note(self) -> list[Push]:
        told, after = self.arda.ann.received()[self.heard :], self.arda.chart()
        self.heard += len(told)
        self.steps.append(Step(self.chart, after, told))
        self.chart = after
        return told

    def pass_time(self, *, hours: float = 0, minutes: float = 0) -> list[Push]:
        self.arda.world.advance(hours=hours, minutes=minutes)
        return self.note()

    def until(self, event: str) -> None:
        while event not in [push.event for push in self.pass_time(hours=12)]:
            pass


@dataclass
class Game:
    """All that a test asks of the game that was played."""

    steps: list[Step]
    pushes: list[Push]
    players: list[Player]


@pytest.fixture(scope="module")
def game() -> Iterator[Game]:
    """A game in which everything happens that can."""
    with story() as bare, story() as arda:
        bare.world.advance(hours=26)  # dragons find no shield
        diary = Diary(arda, chart=arda.chart(), heard=len(arda.ann.received()))
        diary.pass_time(minutes=1)
        for structure in ("metal_mine", "crystal_mine", "metal_mine"):
            arda.build(structure)
            diary.note()
        for construction in (3, 1):
            arda.cancel(construction)
            diary.note()
        arda.build("observatory")
        diary.note()
        for minutes in (9, 6, 30, 180):
            diary.pass_time(minutes=minutes)
        arda.probe(next(star["star"] for star in diary.chart["stars"] if not star["home"]))
        diary.note()
        diary.pass_time(hours=3)
        arda.build("shield")
        diary.note()
        for hours in (1, 18):
            diary.pass_time(hours=hours)
        bo = arda.invite("bo")
        diary.note()
        arda.order("leave", by=bo)
        diary.note()
        arda.order("rename_planet", planet=1, name="Hearth")
        diary.note()
        diary.until("dragons_inbound")
        diary.until("dragons_raided")
        arda.world.connect("operator").command("announce", text="Maintenance at noon")
        diary.note()
        players = [arda.ann, bo, bare.ann]
        arda.ann.view("universes")
        yield Game(diary.steps, [push for each in players for push in each.received()], players)


# ---------------------------------------------------------------------------------- what the page says


def event_rows() -> dict[str, list[str]]:
    return {words(row[0])[0]: row for row in table("## Events")}


def stream_of(row: list[str]) -> str:
    """The pattern of the stream on which an event comes."""
    elsewhere = re.search(r"on `([^`]+)`", row[0])
    pattern = elsewhere[1] if elsewhere else "universe:<universe>"
    return re.sub(r"<\w+>", r"\\w+", pattern)


def templates(cell: str) -> list[str]:
    """The sentences of a cell, as patterns."""
    return [re.sub(r"\\{\w+\\}", ".+", re.escape(text)) for text in re.findall(r"`([^`]+)`", cell)]


def parts(cell: str, push: Push) -> set[str]:
    """The parts of a chart that a cell names. What is so of a shield only is left out of other events."""
    always, _, of_a_shield = cell.partition("of a shield")
    shield = of_a_shield if push.data.get("structure") == "shield" else ""
    return set(re.findall(r"`([\w.]+)`", always + shield))


def orders() -> dict[str, re.Pattern[str]]:
    """What happens, and the events that it tells, as a pattern over their names; a group is what may be."""
    found = {}
    for what, cell in table("## Events", 1):
        pattern = ""
        for clause in cell.split(";"):
            either = [re.findall(r"`(\w+)`", names) for names in clause.split(",")]
            each = "".join(f"(?:{'|'.join(names)}) " for names in either)
            pattern += f"({each})?" if clause.strip().startswith("when") else each
        found[what] = re.compile(pattern)
    return found


# ------------------------------------------------------------------------------- what a client makes of it


def apply(chart: Chart, push: Push) -> Chart:
    """The chart after an event, as the page tells to change it."""
    chart, data, event = copy.deepcopy(chart), push.data, push.event
    if event.startswith("process_"):
        ends = data["state"] in ("completed", "cancelled", "failed")
        now = [{name: data[name] for name in ("process", "kind", "started_at", "due_at", "data")}]
        others = [each for each in chart["processes"] if each["process"] != data["process"]]
        return chart | {"processes": others if ends else others + now}
    (planet,) = chart["planets"]
    planet.update({name: data[name] for name in ("resources", "queue") if name in data})
    if event == "construction_complete":
        planet["structures"][data["structure"]] = data["level"]
        if data["structure"] == "shield":
            chart["shield"]["level"] = data["level"]
    elif event in ("member_joined", "member_left"):
        joined = [{"player": data["player"], "name": data["name"]}] if event == "member_joined" else []
        others = [each for each in chart["members"] if each["player"] != data["player"]]
        chart["members"] = others + joined
    elif event == "planet_renamed":
        planet["name"] = data["name"]
    elif event == "probe_sent":
        chart["probes"].append(data["probe"])
    elif event in ("stars_discovered", "probe_arrived"):
        new = data["stars"] if event == "stars_discovered" else [data["star"]]
        numbers = [star["star"] for star in new]
        chart["stars"] = [star for star in chart["stars"] if star["star"] not in numbers] + new
        chart["probes"] = [probe for probe in chart["probes"] if probe["star"] not in numbers]
    elif event.startswith("dragons_"):
        chart["dragons"] = data if event == "dragons_inbound" else None
    return chart


def differing(mine: Chart, true: Chart) -> set[str]:
    """The parts in which two charts differ, but for resources, queues and what is under way."""
    found = {name for name in FOLLOWED if told(mine[name]) != told(true[name])} - {"processes"}
    found |= {f"shield.{name}" for name, value in true["shield"].items() if mine["shield"][name] != value}
    (planet,), (real,) = mine["planets"], true["planets"]
    return found | {name for name in ("name", "structures", "offers") if planet[name] != real[name]}


def told(value: Any) -> Any:
    """A value that can be compared: times may be spelled in two ways, lists be in any order."""
    if isinstance(value, list):
        return sorted((told(each) for each in value), key=repr)
    if isinstance(value, dict):
        return {name: told(each) for name, each in value.items()}
    return moment(value) if isinstance(value, str) and re.match(r"\d{4}-\d\d-\d\dT", value) else value


def stock(resources: dict[str, Any], at: datetime) -> list[float]:
    """What there is at a time, by the page's formula."""
    hours = (at - moment(resources["at"])).total_seconds() / 3600
    return [
        max(resources[of], min(resources["capacity"], resources[of] + resources[f"{of}_per_hour"] * hours))
        for of in ("metal", "crystal")
    ]


# ----------------------------------------------------------------------------------------------- the tests


def test_every_event_of_the_page_comes_on_its_stream_with_its_sentence(game: Game) -> None:
    shown = event_rows()
    for push in game.pushes:
        if push.event not in shown:
            assert push.event.startswith("process_") or push.event in ("subscribed", "unsubscribed")
            continue
        row = shown[push.event]
        assert re.fullmatch(stream_of(row), push.stream), push
        assert list(push.data) == words(row[1])
        says = templates(row[-1])
        assert bool(says) == bool(push.message), push
        assert not says or any(re.fullmatch(each, push.message or "") for each in says), push
    assert {push.event for push in game.pushes} >= set(shown)


def test_an_event_changes_what_the_page_says_and_carries_all_but_what_it_says_to_ask_again(
    game: Game,
) -> None:
    shown = event_rows()
    for step in game.steps:
        chart, changes, missing = step.before, set[str](), set[str]()
        for push in step.told:
            if not push.stream.startswith("universe:"):
                continue
            chart = apply(chart, push)
            if push.event in shown:
                changes |= parts(shown[push.event][2], push)
                again = shown[push.event][3]
                missing |= parts(again, push) - {"universe"} if "`universe`" in again else set()
        events = [push.event for push in step.told]
        assert differing(step.before, step.after) == changes | missing, events
        assert differing(chart, step.after) == missing, events


def test_resources_queues_and_what_is_under_way_are_true_without_asking_again(game: Game) -> None:
    for step in game.steps:
        chart = step.before
        for push in step.told:
            chart = apply(chart, push) if push.stream.startswith("universe:") else chart
        (mine,), (real,) = chart["planets"], step.after["planets"]
        assert told(mine["queue"]) == told(real["queue"])
        assert told(chart["processes"]) == told(step.after["processes"])
        at = moment(real["resources"]["at"])
        assert stock(mine["resources"], at) == pytest.approx(stock(real["resources"], at))


def test_what_happens_at_once_is_told_in_the_order_of_the_page(game: Game) -> None:
    alone = {"member_joined", "member_left", "planet_renamed"}
    said = orders()
    seen: dict[str, set[int]] = {}
    for step in game.steps:
        mine = [push for push in step.told if push.stream.startswith("universe:")]
        for _, together in groupby(mine, key=lambda push: push.at):
            names = [push.event for push in together]
            if set(names) <= alone:
                continue
            text = "".join(f"{name} " for name in names)
            fits = {what: found for what, each in said.items() if (found := each.fullmatch(text))}
            assert fits, names
            for what, found in fits.items():
                seen.setdefault(what, set()).update(n for n, group in enumerate(found.groups()) if group)
    assert seen == {what: set(range(each.groups)) for what, each in said.items()}


def test_who_comes_and_who_goes_hears_what_the_page_says(game: Game) -> None:
    _, bo, _ = game.players
    assert [(push.stream.split(":")[0], push.event) for push in bo.received() if push.stream != "all"] == [
        ("player", "subscribed"),
        ("player", "universe_opened"),
        ("universe", "member_joined"),
        ("universe", "member_left"),
        ("player", "universe_closed"),
        ("player", "unsubscribed"),
    ]


def test_a_process_belongs_to_whom_the_page_says(game: Game) -> None:
    started = [push.data for push in game.pushes if push.event == "process_started"]
    owners = {each["kind"]: "null" if each["owner"] is None else "who" for each in started}
    shown = {words(kind)[0]: owner.split()[0] for kind, _, owner, *_ in table("## Processes")}
    assert owners == {kind: owner for kind, owner in shown.items() if kind != "sighting"}


def test_a_view_tells_the_position_of_the_stream_that_the_page_says(game: Game) -> None:
    ann = game.players[0]
    shown = {words(row[0])[0]: row[3] for row in table("## Views")}
    asked = set()
    for frame in ann.frames:
        if frame["type"] == "reply" and frame["command"] in shown:
            (stream,) = frame["positions"]
            assert re.fullmatch(re.sub(r"<\w+>", r"\\w+", shown[frame["command"]].strip("`")), stream)
            asked.add(frame["command"])
    assert asked == set(shown)
