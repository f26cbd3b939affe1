"""The reference says what the code does: every code, frame, setting and limit, in both directions."""

import ast
import re
from collections.abc import Iterable
from pathlib import Path

import msgspec
import pytest

import starwire
from starwire import config, errors, protocol
from starwire.gateway.responses import STATUS
from starwire.process import State
from starwire.testing import World
from tests.support.machine import REPOSITORY

DOCS = REPOSITORY / "docs"
SERVER_FRAMES = (protocol.Reply, protocol.Push, protocol.Resync, protocol.Status, protocol.Goodbye)
# A heading as GitHub names it in a link.
_ANCHOR = re.compile(r"[^\w\- ]")
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)|!\[[^\]]*\]\(([^)\s]+)\)")


def page(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def pages() -> list[Path]:
    return sorted(
        [*REPOSITORY.glob("*.md"), *DOCS.rglob("*.md"), *(REPOSITORY / "examples").rglob("*.md")],
    )


def section(text: str, heading: str) -> str:
    """What stands under a heading, up to the next of its level or a higher one."""
    level = heading.split(maxsplit=1)[0]
    after = text.split(f"\n{heading}\n", 1)
    assert len(after) == 2, f"no heading {heading!r}"
    return re.split(rf"\n#{{1,{len(level)}}} ", after[1], maxsplit=1)[0]


def rows(text: str) -> list[list[str]]:
    """The cells of every table row, without head and rule."""
    return [
        [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip("|"))]
        for table in re.findall(r"((?:^\|.*\|$\n?)+)", text, re.MULTILINE)
        for line in table.splitlines()[2:]
    ]


def plain(cell: str) -> str:
    return cell.strip("`")


def test_the_error_codes_of_the_protocol_are_those_of_the_table() -> None:
    shown = [
        (plain(code), retry, meaning)
        for code, retry, meaning in rows(section(page("reference/protocol.md"), "## Error codes"))
    ]
    assert shown == [
        (row.code, "yes" if row.retry else "no", row.meaning) for row in errors.ERROR_CODES.values()
    ]


def test_the_close_codes_of_the_protocol_are_those_of_the_table() -> None:
    shown = [
        (int(code), plain(name), reconnect, meaning)
        for code, name, reconnect, meaning in rows(section(page("reference/protocol.md"), "## Close codes"))
    ]
    assert shown == [(row.code, row.name, row.reconnect, row.meaning) for row in errors.CLOSE_CODES.values()]


def test_every_frame_of_the_server_is_shown_with_all_its_fields() -> None:
    text = page("reference/protocol.md")
    for frame in SERVER_FRAMES:
        info = msgspec.inspect.type_info(frame)
        assert isinstance(info, msgspec.inspect.StructType)
        assert f'"type":"{info.tag}"' in text
        missing = [each.encode_name for each in info.fields if f'"{each.encode_name}"' not in text]
        assert not missing, f"{info.tag}: {missing}"
    for each in msgspec.structs.fields(protocol.ErrorBody):
        assert f"| `{each.encode_name}` |" in text


def test_every_frame_type_that_is_shown_exists() -> None:
    types = {getattr(msgspec.inspect.type_info(frame), "tag", None) for frame in SERVER_FRAMES}
    assert set(re.findall(r'"type":"(\w+)"', page("reference/protocol.md"))) == types


def test_the_built_in_commands_have_a_heading_each() -> None:
    headings = re.findall(
        r"^### `(\w+)`$", section(page("reference/protocol.md"), "## Built-in commands"), re.MULTILINE
    )
    assert sorted(headings) == sorted(protocol.BUILT_IN)


def test_the_frames_that_are_shown_are_json_and_read_as_they_should() -> None:
    shown = re.findall(r"^(?:[→←] )?(\{.*\})$", page("reference/protocol.md"), re.MULTILINE)
    whole = [text for text in shown if "…" not in text]
    assert len(whole) > 15
    for text in whole:
        frame = msgspec.json.decode(text)
        if "type" in frame:
            union = protocol.Reply | protocol.Push | protocol.Resync | protocol.Status | protocol.Goodbye
            msgspec.json.decode(text, type=union)
        else:
            protocol.parse(text)


def test_the_limits_that_hello_tells_are_named() -> None:
    with World(starwire.App("empty")) as world:
        told = world.connect("ann").frames[0]["result"]
    text = section(page("reference/protocol.md"), "### `hello`")
    assert all(f"`{name}`" in text for name in [*told, *told["limits"]])


def test_every_lifecycle_event_is_listed_and_no_other() -> None:
    source = "".join(
        (REPOSITORY / "src" / "starwire" / name).read_text(encoding="utf-8")
        for name in ("transaction.py", "executor.py")
    )
    finished = {f"process_{state}" for state in (State.COMPLETED, State.CANCELLED, State.FAILED)}
    told = set(re.findall(r'"(process_\w+)"', source)) - {"process_raised"} | finished
    listed = rows(section(page("reference/protocol.md"), "### Lifecycle events"))
    assert {plain(event) for event, *_ in listed} == told
    assert {plain(state) for _, state, _ in listed} <= set(State)


def test_the_settings_are_those_of_the_code_with_their_defaults() -> None:
    shown = {
        plain(name): default
        for name, _, default, _ in rows(section(page("reference/settings.md"), "## The server"))
    }
    assert shown == {each.name: each.default for each in config.known()}


def test_the_limits_are_those_of_the_code_with_their_defaults_units_and_reasons() -> None:
    table = rows(section(page("reference/settings.md"), "## Limits"))
    shown = {plain(name): default for name, _, default, _ in table}
    assert shown == {each.name: each.default for each in config.known_limits()}
    assert all(unit and why for _, unit, _, why in table)


def test_the_codes_of_http_are_those_of_the_table_with_their_status() -> None:
    shown = {
        plain(code): int(status) for code, status, _ in rows(section(page("reference/http.md"), "## Errors"))
    }
    assert shown == STATUS


def test_every_public_name_of_python_is_in_its_reference() -> None:
    from starwire import client, testing  # noqa: PLC0415 -- beside what it is used for

    text = page("reference/python-api.md")
    public: Iterable[str] = {*starwire.__all__, *client.__all__, *testing.__all__}
    missing = sorted(name for name in public if not re.search(rf"`(?:\w+\.)*{name}\b", text))
    assert not missing


def test_every_export_of_the_javascript_client_is_in_its_reference() -> None:
    types = (REPOSITORY / "src" / "starwire" / "web" / "starwire.d.ts").read_text(encoding="utf-8")
    exported = re.findall(r"^export (?:class|function|const) (\w+)", types, re.MULTILINE)
    text = page("reference/javascript-client.md")
    assert not [name for name in exported if f"`{name}" not in text]
    client = types[types.index("export class Client") : types.index("export type LocalCode")]
    members = set(re.findall(r"^  (?:readonly )?(\w+)[<(:]", client, re.MULTILINE)) - {"constructor"}
    missing = sorted(name for name in members if not re.search(rf"`(?:client\.)?{name}\b", text))
    assert not missing


@pytest.mark.parametrize("path", pages(), ids=lambda path: path.relative_to(REPOSITORY).as_posix())
def test_links_lead_somewhere(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for found in _LINK.finditer(text):
        target = found[1] or found[2]
        if target.startswith(("http://", "https://", "mailto:")):
            continue
        name, _, anchor = target.partition("#")
        there = path if not name else (path.parent / name).resolve()
        assert there.exists(), f"{path.name}: {target}"
        if anchor:
            headings = re.findall(r"^#+ (.+)$", there.read_text(encoding="utf-8"), re.MULTILINE)
            anchors = {_ANCHOR.sub("", heading.lower()).replace(" ", "-") for heading in headings}
            assert anchor in anchors, f"{path.name}: {target} is none of {sorted(anchors)}"


def test_every_page_can_be_reached_from_the_index() -> None:
    index = page("index.md")
    for path in DOCS.rglob("*.md"):
        name = path.relative_to(DOCS).as_posix()
        assert name == "index.md" or f"({name})" in index, name


def test_the_functions_and_tests_that_architecture_names_exist() -> None:
    text = (REPOSITORY / "ARCHITECTURE.md").read_text(encoding="utf-8")
    functions = re.findall(r"`([\w/]+\.py): ([\w.]+)`", text)
    assert len(functions) > 50
    missing = [f"{file}: {name}" for file, name in functions if name not in names_in(file)]
    missing += [
        each for each in re.findall(r"`(tests/[\w/]+\.\w+)`", text) if not (REPOSITORY / each).is_file()
    ]
    assert not missing


def names_in(file: str) -> set[str]:
    """What a module of starwire defines: names at the top, and in its classes."""
    names = set()
    for node in ast.parse((REPOSITORY / "src" / "starwire" / file).read_text(encoding="utf-8")).body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", node)]
        for each in targets:
            name = getattr(each, "name", getattr(each, "id", ""))
            names |= {name} | {f"{name}.{getattr(inner, 'name', '')}" for inner in getattr(node, "body", [])}
    return names


def test_architecture_has_a_line_for_every_module() -> None:
    source = REPOSITORY / "src" / "starwire"
    text = (REPOSITORY / "ARCHITECTURE.md").read_text(encoding="utf-8")
    folder, listed = "", set()
    for line in section(text, "## Where things are").splitlines():
        if found := re.match(r"src/starwire/([\w/]*)", line):
            folder = found[1]
        elif found := re.match(r"  (\w+\.py) ", line):
            listed.add(f"{folder}{found[1]}")
    modules = {path.relative_to(source).as_posix() for path in source.rglob("*.py")}
    modules = {each for each in modules if "migrations" not in each and "skeleton" not in each}
    gone = sorted(listed - modules)
    assert not gone, f"ARCHITECTURE.md, “Where things are”, names files that are not there: {gone}"
    missing = sorted(each for each in modules - listed if not each.endswith("__init__.py"))
    assert not missing, f"ARCHITECTURE.md, “Where things are”, needs a line for each of {missing}"
