"""The fields in the protocol's reference are those of the frames, in both directions."""

import re

import msgspec
import pytest

from starwire import protocol
from starwire.lifecycle import RESERVED
from tests.unit.test_docs import SERVER_FRAMES, page, plain, rows, section

PAGE = "reference/protocol.md"


def fields(struct: type[msgspec.Struct]) -> set[str]:
    return {each.encode_name for each in msgspec.structs.fields(struct)}


def named(text: str, table: int) -> set[str]:
    """The names in the first column of a table, which may hold several in a cell."""
    tables = re.findall(r"((?:^\|.*\|$\n?)+)", text, re.MULTILINE)
    return {name for first, *_ in rows(tables[table]) for name in re.findall(r"`(\w+)`", first)}


@pytest.mark.parametrize(
    ("heading", "table", "struct"),
    [
        ("## Frames of the client", 0, protocol.ClientFrame),
        ("### `reply`: the one answer to a command or view", 0, protocol.Reply),
        ("### `reply`: the one answer to a command or view", 1, protocol.ErrorBody),
        ("### `push`: one event of a stream", 0, protocol.Push),
        ("### `hello`", 0, protocol.Hello),
        ("### `hello`", 1, protocol.Welcome),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_table_of_fields_names_each_and_no_other(
    heading: str, table: int, struct: type[msgspec.Struct]
) -> None:
    assert named(section(page(PAGE), heading), table) == fields(struct)


def test_the_frames_that_are_shown_have_no_field_that_the_server_would_not_send() -> None:
    by_tag = {
        getattr(msgspec.inspect.type_info(frame), "tag", None): fields(frame) for frame in SERVER_FRAMES
    }
    shown = re.findall(r"^(?:← )?(\{\"type\".*\})$", page(PAGE), re.MULTILINE)
    assert len(shown) > 10
    for text in shown:
        frame = msgspec.json.decode(text)
        assert set(frame) - {"type"} <= by_tag[frame["type"]], text
        assert set(frame.get("error", {})) <= fields(protocol.ErrorBody), text


def test_the_arguments_of_the_built_in_commands_are_shown_as_they_are_taken() -> None:
    taken: dict[str, type[msgspec.Struct]] = {
        "hello": protocol.Hello,
        "refresh": protocol.Refresh,
        "ping": protocol.Ping,
    }
    for command, struct in taken.items():
        frames = re.findall(r"^→ (\{.*\})$", section(page(PAGE), f"### `{command}`"), re.MULTILINE)
        assert frames, command
        for text in frames:
            args = re.search(r'"args":(\{.*\})\}$', text)
            assert args, text
            assert set(msgspec.json.decode(args[1])) <= fields(struct), text
            msgspec.json.decode(args[1], type=struct)


def test_the_events_that_the_framework_publishes_are_listed_and_no_other() -> None:
    text = section(page(PAGE), "## Streams")
    own = {plain(event) for event, *_ in rows(text.split("### Lifecycle events")[0])}
    assert own == {event for event in RESERVED if not event.startswith("process_")}
    lifecycle = {plain(event) for event, *_ in rows(section(page(PAGE), "### Lifecycle events"))}
    assert own | lifecycle == RESERVED
