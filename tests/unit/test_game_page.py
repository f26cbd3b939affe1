"""The page about the game on the wire names what the game has, and nothing that it has not."""

import ast
import re
from functools import cache
from itertools import pairwise
from typing import Any

import msgspec
import pytest

from herebedragons import events, rules, sky, views, wire
from herebedragons.app import app
from starwire import kinds, protocol, schema
from starwire.app import CommandKind, Registry, ViewKind
from starwire.errors import ERROR_CODES
from starwire.lifecycle import RESERVED
from starwire.system import module as framework
from tests.support.machine import REPOSITORY
from tests.unit.test_docs import page, plain, rows, section

PAGE = "reference/game.md"
SHAPES: dict[str, type[msgspec.Struct]] = {
    "Chart": views.Chart,
    "UniverseSummary": views.UniverseSummary,
    "Map": views.Map,
    "Member": wire.Member,
    "Planet": wire.Planet,
    "Resources": wire.Resources,
    "Offer": wire.Offer,
    "Construction": wire.Construction,
    "Amount": wire.Amount,
    "Star": wire.Star,
    "Probe": wire.Probe,
    "Underway": views.Underway,
    "Dragons": wire.Dragons,
    "Shield": wire.Shield,
}
# What a function that a command calls could refuse, and this command never meets: the planet of an order is
# there, so is home, and a probe costs no metal.
NEVER = {"cancel_construction": {"unknown_planet"}, "send_probe": {"unknown_planet", "not_enough_metal"}}


@cache
def registry() -> Registry:
    return app.registry(framework)


def asked() -> list[CommandKind | ViewKind]:
    """What a client can ask for: all but what servers tell themselves."""
    commands = [kind for kind in registry().commands.values() if not schema.is_internal(kind.requires)]
    return [*commands, *registry().views.values()]


def written_events() -> dict[str, type[kinds.Event]]:
    """The events of the game's source, whether the app has been told of them or not."""
    of_the_game = (each for each in vars(events).values() if isinstance(each, type))
    return {kinds.wire_name(each): each for each in of_the_game if issubclass(each, kinds.Event)}


def table(heading: str, number: int = 0) -> list[list[str]]:
    """The rows of a table under a heading, without those under lower headings."""
    text = section(page(PAGE), heading).split("\n#", 1)[0]
    return rows(re.findall(r"((?:^\|.*\|$\n?)+)", text, re.MULTILINE)[number])


def words(cell: str) -> list[str]:
    """The names in a cell, without what a parenthesis or a semicolon adds to them."""
    return re.findall(r"`(\w+)`", re.sub(r"\(.*?\)|;.*", "", cell))


def fields(struct: type[msgspec.Struct]) -> list[str]:
    return [each.encode_name for each in msgspec.structs.fields(struct)]


# ------------------------------------------------------------------------------------------------- the names


def test_every_command_is_on_the_page_with_its_arguments_and_result_and_no_other() -> None:
    shown = {plain(name): (words(args), words(result)) for name, args, result, _ in table("## Commands")}
    assert shown == {
        kind.name: (fields(kind.struct), fields(kind.result))
        for kind in registry().commands.values()
        if not schema.is_internal(kind.requires)
    }


def test_an_argument_has_a_default_on_the_page_when_it_has_one() -> None:
    for name, args, *_ in table("## Commands"):
        struct = registry().commands[plain(name)].struct
        for each in msgspec.structs.fields(struct):
            shown = re.search(rf"`{each.encode_name}` \([^)]*without it `?(\w+)", args)
            assert (shown[1] if shown else None) == (
                None if each.required else msgspec.json.encode(each.default).decode()
            ), f"{name}: {each.encode_name}"


def test_every_view_is_on_the_page_with_its_arguments_and_result_and_no_other() -> None:
    shown = {plain(name): (words(args), result) for name, args, result, *_ in table("## Views")}
    assert {name: args for name, (args, _) in shown.items()} == {
        kind.name: fields(kind.struct) for kind in registry().views.values()
    }
    for name, (_, result) in shown.items():
        struct = registry().views[name].result
        chart = struct is views.Chart and "a Chart" in result
        assert chart or re.findall(r"`(\w+)`", result) == fields(struct)


def test_every_event_is_on_the_page_with_its_fields_and_no_other() -> None:
    shown = {words(name)[0]: words(data) for name, data, *_ in table("## Events")}
    declared = {**schema.events_of(registry()), **written_events()}
    assert shown == {name: fields(struct) for name, struct in declared.items() if name not in RESERVED}


def test_every_process_is_on_the_page_with_its_public_data_and_no_other() -> None:
    shown = {plain(kind): words(data) for kind, data, *_ in table("## Processes")}
    assert shown == {kind.name: list(kind.struct.public) for kind in schema.processes_of(registry())}


def test_every_shape_is_on_the_page_with_its_fields_and_no_other() -> None:
    shown = {name: words(each) for name, each, _ in table("### Shapes")}
    assert shown == {name: fields(struct) for name, struct in SHAPES.items()}
    for name, each, _ in table("### Shapes"):
        may_be_null = {
            field.encode_name
            for field in msgspec.structs.fields(SHAPES[name])
            if type(None) in getattr(field.type, "__args__", ())
        }
        assert set(re.findall(r"`(\w+)`\?", each)) == may_be_null, name


def test_every_shape_that_a_reply_or_an_event_holds_is_on_the_page() -> None:
    told = [*(kind.result for kind in asked()), *schema.events_of(registry()).values()]
    _, components = msgspec.json.schema_components(told)
    tops = {struct.__name__ for struct in told}
    held = {name for name, each in components.items() if each.get("type") == "object"}
    held -= tops | {name for name in held if name.rpartition(".")[2] in tops}
    assert held <= set(SHAPES)


def test_every_name_that_the_page_mentions_is_one_of_the_game_or_of_the_protocol() -> None:
    structs: list[Any] = [*SHAPES.values(), *schema.events_of(registry()).values()]
    structs += [struct for kind in asked() for struct in (kind.struct, kind.result)]
    structs += [*(kind.struct for kind in schema.processes_of(registry())), protocol.Reply, protocol.Push]
    known = {name for struct in structs for name in fields(struct)} | set(fields(protocol.ErrorBody))
    known |= {kind.name for kind in (*asked(), *schema.processes_of(registry()))} | {*protocol.BUILT_IN}
    known |= {*schema.events_of(registry()), *RESERVED, *ERROR_CODES, *rules.Structure, "all", "operator"}
    for each in handlers():
        for reason, details in refusals(each).items():
            known |= {reason, *details}
    assert set(re.findall(r"`([a-z_]+)`", page(PAGE))) <= known


# ------------------------------------------------------------------------------------- what the source says


@cache
def sources() -> list[ast.Module]:
    paths = sorted((REPOSITORY / "src" / "herebedragons").rglob("*.py"))
    return [ast.parse(path.read_text(encoding="utf-8")) for path in paths]


@cache
def handlers() -> list[ast.Module]:
    """The game's source, and that of announcing, which is the framework's and can be asked of every game."""
    system = REPOSITORY / "src" / "starwire" / "system.py"
    return [*sources(), ast.parse(system.read_text(encoding="utf-8"))]


def refusals(inside: ast.AST) -> dict[str, set[str]]:
    """The reasons that a piece of source can refuse with, and their details."""
    found: dict[str, set[str]] = {}
    for node in ast.walk(inside):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("starwire.Rejected", "Rejected"):
            details = {each.arg or "**" for each in node.keywords}
            for reason in spelled(node.args[0]):
                assert found.setdefault(reason, details) == details, reason
    return found


def spelled(reason: ast.expr) -> list[str]:
    """A reason as it is written, or every one that an f-string with the name of a resource gives."""
    if isinstance(reason, ast.Constant):
        return [str(reason.value)]
    assert ast.unparse(reason) == "f'not_enough_{resource}'", ast.unparse(reason)
    return [f"not_enough_{resource}" for resource in fields(wire.Amount)]


def test_every_reason_of_a_rejection_is_on_the_page_with_its_details_and_no_other() -> None:
    shown = {plain(reason): set(words(details)) for reason, details, _ in table("### Rejections")}
    found: dict[str, set[str]] = {}
    for each in handlers():
        for reason, details in refusals(each).items():
            assert found.setdefault(reason, details) == details, reason
    assert shown == found


@cache
def functions() -> dict[str, list[ast.FunctionDef]]:
    found: dict[str, list[ast.FunctionDef]] = {}
    for node in (node for each in handlers() for node in ast.walk(each)):
        if isinstance(node, ast.FunctionDef):
            found.setdefault(node.name, []).append(node)
    return found


def reachable(function: str) -> set[str]:
    """The reasons of a function and of all that it calls by name."""
    reasons: set[str] = set()
    seen, waiting = {function}, [function]
    while waiting:
        for body in functions()[waiting.pop()]:
            reasons |= set(refusals(body))
            called = {
                node.func.id
                for node in ast.walk(body)
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
            }
            new = (called & set(functions())) - seen
            seen |= new
            waiting += sorted(new)
    return reasons


def test_every_command_and_view_names_the_reasons_that_it_can_be_rejected_for_and_no_other() -> None:
    shown = {plain(row[0]): set(words(row[-1])) for row in (*table("## Commands"), *table("## Views"))}
    by_name = {kind.name: kind for kind in asked()}
    assert shown == {
        name: reachable(by_name[name].handler.__name__) - NEVER.get(name, set()) for name in shown
    }


def test_every_kind_of_stream_is_on_the_page_and_no_other() -> None:
    patterns = {plain(stream) for stream, *_ in table("## Streams")}
    named = set()
    for node in (node for each in sources() for node in ast.walk(each)):
        if isinstance(node, ast.JoinedStr) and isinstance(node.values[0], ast.Constant):
            named |= set(re.findall(r"^[a-z]+:$", str(node.values[0].value)))
    assert {pattern.split("<")[0] for pattern in patterns} == {"all", *named}
    assert all(re.fullmatch(r"all|(\w+):<\1>", pattern) for pattern in patterns)


def test_the_streams_for_all_and_for_one_player_carry_the_events_that_are_said_to_come_there() -> None:
    shown = {plain(stream): set(words(carries)) for stream, _, carries in table("## Streams")}
    there: dict[str, set[str]] = {stream: set() for stream in shown}
    for name, *_ in table("## Events"):
        elsewhere = re.search(r"on `([^`]+)`", name)
        there[elsewhere[1] if elsewhere else "universe:<universe>"].add(words(name)[0])
    there["player:<player>"] |= {event for event in RESERVED if not event.startswith("process_")}
    assert {name: shown[name] for name in ("all", "player:<player>")} == {
        name: there[name] for name in ("all", "player:<player>")
    }


# ------------------------------------------------------------------------------------------------ the numbers


def hours(seconds: float) -> str:
    return f"{seconds / rules.HOUR:.0f} hours"


def test_the_numbers_are_those_of_the_rules() -> None:
    days = [f"{seconds // rules.DAY}" for seconds in rules.SIGHTING_AFTER_SECONDS]
    per_unit = round((sky.probe_seconds(100) - sky.probe_seconds(0)) / 100 / rules.MINUTE)
    start = sky.probe_seconds(0) // rules.HOUR
    assert dict(table("## Numbers, times, names")) == {
        "universes of a player": f"{rules.UNIVERSES_PER_PLAYER}",
        "members of a universe": f"{rules.MEMBERS_PER_UNIVERSE}",
        "orders in the queue of a planet": f"{rules.QUEUE_PER_PLANET}",
        "the highest level": f"{rules.MAX_LEVEL}",
        "characters of a name": f"{rules.NAME_LENGTH}",
        "a survey": hours(sky.SURVEY_SECONDS),
        "what a probe costs": f"{sky.PROBE_PRICE.crystal} crystal",
        "a probe's travel": f"{start} hour, and {per_unit} minutes for each map unit",
        "dragons: from the creation to the first sighting": (
            f"{rules.FIRST_SIGHTING_SECONDS // rules.MINUTE} minutes"
        ),
        "dragons: from the sighting to the arrival": hours(rules.WARNING_SECONDS),
        "dragons: from the arrival to the next sighting": f"{' to '.join(days)} days",
        "dragons: visits in a row without a command in the universe, after which they stay away"
        " until the next one": f"{rules.QUIET_VISITS}",
    }


def test_the_structures_are_named_with_what_they_need() -> None:
    (line,) = re.findall(r"^- \*\*Structures\*\* are (.*?)\. What", page(PAGE), re.MULTILINE | re.DOTALL)
    listed = re.findall(r"`(\w+)`(?: \(needs an? ([^)]+)\))?", " ".join(line.split()))
    assert {name: needed.replace(" ", "_") for name, needed in listed} == {
        structure: (rules.missing_need(structure, {}) or ("",))[0] for structure in rules.Structure
    }


# ------------------------------------------------------------------------------------------------ the example


def test_the_frames_that_are_shown_are_as_the_game_sends_and_takes_them() -> None:
    shown = re.findall(r"^([→←]) (\{.*\})$", section(page(PAGE), "## An example"), re.MULTILINE)
    whole = [(way, msgspec.json.decode(text)) for way, text in shown if "…" not in text]
    assert len(shown) - len(whole) == 2, "the page says how many are shortened"
    by_name = {kind.name: kind for kind in asked()}
    declared = schema.events_of(registry())
    for way, frame in whole:
        if way == "→":
            msgspec.convert(frame["args"], by_name[frame["command"]].struct)
        elif frame["type"] == "reply" and frame["ok"]:
            assert list(frame["result"]) == fields(by_name[frame["command"]].result)
        elif frame["type"] == "push" and frame["event"] not in RESERVED:
            assert list(frame["data"]) == fields(declared[frame["event"]])
    offsets = [int(offset) for offset in re.findall(r'"stream":"universe:1","offset":(\d+),"', page(PAGE))]
    assert offsets
    assert all(after == before + 1 for before, after in pairwise(offsets)), "a stream has no gaps"


@pytest.mark.parametrize("heading", ["## Streams", "## Events"])
def test_no_table_of_names_names_one_twice(heading: str) -> None:
    first = [row[0] for row in table(heading)]
    assert len(first) == len(set(first))
