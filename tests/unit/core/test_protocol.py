"""Whatever a client sends is either a frame or is answered with a documented error, and nothing else."""

import json
from typing import Any

import hypothesis.strategies as st
import msgspec
import pytest
from hypothesis import example, given

from starwire.errors import ERROR_CODES, Refused, Rejected
from starwire.protocol import (
    NOT_JSON,
    BadFrame,
    ClientFrame,
    decode_args,
    digest,
    error_reply,
    ok_reply,
    parse,
    push_frame,
)

DEEP = "[" * 40_000 + "]" * 40_000

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
almost_frames = st.fixed_dictionaries(
    {},
    optional={
        "id": json_values | st.text(min_size=1),
        "command": json_values | st.text(min_size=1),
        "args": json_values | st.dictionaries(st.text(), json_values, max_size=3),
        "more": json_values,
    },
).map(json.dumps)


def parsed(data: str | bytes) -> ClientFrame | BadFrame:
    try:
        return parse(data)
    except BadFrame as bad:
        return bad


def code_of(text: str | bytes) -> str:
    with pytest.raises(BadFrame) as caught:
        parse(text)
    assert error_of(caught.value.reply)["code"] == caught.value.code
    return caught.value.code


def error_of(reply: bytes) -> Any:
    frame = json.loads(reply)
    assert frame["type"] == "reply"
    assert frame["ok"] is False
    return frame["error"]


@given(st.text() | st.binary() | almost_frames | almost_frames.map(str.encode))
@example(DEEP)
@example('{"command":"a","args":' + DEEP + "}")
@example('{"id":' + DEEP + "}")
@example("\ud800")
@example('{"command":"\\ud800"}')
@example('{"command":"a","id":"\\ud800"}')
@example(b"\xff")
@example(b'{"command":"\xff"}')
@example("9" * 5_000)
@example('{"command":"a","args":1e999}')
@example("")
@example("\ufeff{}")
def test_whatever_comes_is_a_frame_or_a_bad_frame(data: str | bytes) -> None:
    frame = parsed(data)
    if isinstance(frame, BadFrame):
        error = error_of(frame.reply)
        assert error["code"] == frame.code
        assert frame.code in ("malformed", "missing_command", "invalid_args")
        assert error["message"]
    else:
        assert frame.command
        assert frame.id is None or 0 < len(frame.id.encode()) <= 64
        assert frame.args.startswith(b"{")


@given(
    st.text(min_size=1),
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=16),
    st.dictionaries(st.text(), json_values),
)
def test_a_frame_in_form_is_read_as_it_was_written(command: str, id: str, args: dict[str, Any]) -> None:
    frame = parse(json.dumps({"args": args, "command": command, "id": id, "other": 1}))
    assert (frame.command, frame.id) == (command, id)
    assert json.loads(frame.args) == args


@pytest.mark.parametrize(
    "text", ["", "hello", "{", '{"command":}', "{'command':'a'}", '{"command":"a"}x', b"\xff"]
)
def test_what_is_not_json_is_told_so_in_the_words_of_the_sketch(text: str | bytes) -> None:
    with pytest.raises(BadFrame) as caught:
        parse(text)
    reply = json.loads(caught.value.reply)
    assert (reply["id"], reply["command"]) == (None, None)
    assert reply["error"] == {"code": "malformed", "message": "JSON. JSON please", "retry": False}
    assert NOT_JSON == "JSON. JSON please"


@pytest.mark.parametrize("text", ["[]", "1", '"hello"', "null", "true", '[{"command":"a"}]'])
def test_json_that_is_no_object_is_malformed(text: str) -> None:
    assert code_of(text) == "malformed"


@pytest.mark.parametrize(
    "text", ["{}", '{"command":null}', '{"command":7}', '{"command":""}', '{"command":["a"]}']
)
def test_a_missing_command_is_answered_with_command_null(text: str) -> None:
    assert code_of(text) == "missing_command"
    with pytest.raises(BadFrame) as caught:
        parse(text.replace("{", '{"id":"k1",', 1) if text != "{}" else '{"id":"k1"}')
    reply = json.loads(caught.value.reply)
    assert (reply["id"], reply["command"]) == ("k1", None)


@pytest.mark.parametrize("id", ["7", "true", "[]", "{}", '""', "1.5"])
def test_an_id_that_is_no_string_is_an_invalid_argument(id: str) -> None:
    assert code_of('{"command":"a","id":' + id + "}") == "invalid_args"


def test_an_id_may_have_64_bytes_and_no_more() -> None:
    assert parse(json.dumps({"command": "a", "id": "x" * 64})).id == "x" * 64
    assert parse(json.dumps({"command": "a", "id": "é" * 32})).id == "é" * 32
    assert code_of(json.dumps({"command": "a", "id": "x" * 65})) == "invalid_args"
    assert code_of(json.dumps({"command": "a", "id": "é" * 33})) == "invalid_args"


def test_no_id_and_no_argument_holds_a_nul() -> None:
    assert code_of('{"command":"a","id":"x\\u0000"}') == "invalid_args"
    for args in (rb'{"depth":1,"names":["\u0000"]}', rb'{"depth":1,"names":["a\\\u0000"]}', rb'{"\u0000":1}'):
        with pytest.raises(Refused, match="invalid_args: args: no NUL"):
            decode_args(msgspec.json.Decoder(Mine), args)
    spelt = decode_args(msgspec.json.Decoder(Mine), rb'{"depth":1,"names":["\\u0000","\\\\u0000"]}')
    assert spelt.names == [r"\u0000", r"\\u0000"]


@pytest.mark.parametrize("args", ["[]", "1", '"x"', "true", "1.5", '["{}"]'])
def test_args_that_are_no_object_are_refused_under_the_frames_own_id(args: str) -> None:
    with pytest.raises(BadFrame) as caught:
        parse('{"id":"k1","command":"plant","args":' + args + "}")
    reply = json.loads(caught.value.reply)
    assert (reply["id"], reply["command"], reply["error"]["code"]) == ("k1", "plant", "invalid_args")


@pytest.mark.parametrize(
    "text", ['{"command":"a"}', '{"command":"a","args":null}', '{"command":"a","id":null}']
)
def test_args_and_id_may_be_left_out(text: str) -> None:
    assert parse(text) == ClientFrame(None, "a", b"{}")


class Mine(msgspec.Struct):
    depth: int
    names: list[str] = []


@pytest.mark.parametrize(
    ("args", "field"),
    [
        (b"{}", "depth"),
        (b'{"depth":"deep"}', "depth"),
        (b'{"depth":1,"names":[1]}', "names"),
        (b'{"depth":1.5}', "depth"),
    ],
)
def test_invalid_arguments_name_the_field(args: bytes, field: str) -> None:
    with pytest.raises(Refused) as caught:
        decode_args(msgspec.json.Decoder(Mine), args)
    assert caught.value.code == "invalid_args"
    assert caught.value.message.startswith(field)


@given(st.binary() | json_values.map(lambda value: json.dumps(value).encode()))
@example(b'{"depth":' + DEEP.encode() + b"}")
@example(b'{"depth":' + b"9" * 5_000 + b"}")
@example(b'{"names":["\xff"],"depth":1}')
def test_whatever_the_arguments_are_they_are_read_or_refused(args: bytes) -> None:
    refusals = []
    try:
        assert isinstance(decode_args(msgspec.json.Decoder(Mine), args), Mine)
    except Refused as refused:
        refusals.append(refused)
    assert all(refused.code == "invalid_args" and refused.message for refused in refusals)


def test_two_commands_are_told_apart_by_name_and_arguments() -> None:
    digests = {digest("a", b"{}"), digest("b", b"{}"), digest("a", b'{"n":1}'), digest("a", b'{"n":2}')}
    assert len(digests) == 4
    assert digest("a", b"{}") == digest("a", b"{}")


def test_a_result_travels_as_it_was_encoded() -> None:
    reply = json.loads(ok_reply("k1", "build", b'{"due":1}', {"universe:3": 7}))
    assert reply == {
        "type": "reply",
        "id": "k1",
        "command": "build",
        "ok": True,
        "result": {"due": 1},
        "positions": {"universe:3": 7},
    }


def test_a_rejection_carries_reason_sentence_and_details() -> None:
    refusal = Rejected("not_enough_metal", "A metal mine needs 60 metal; you have 12.", need=60, have=12)
    assert json.loads(error_reply("k1", "build", refusal)) == {
        "type": "reply",
        "id": "k1",
        "command": "build",
        "ok": False,
        "error": {
            "code": "rejected",
            "reason": "not_enough_metal",
            "message": "A metal mine needs 60 metal; you have 12.",
            "details": {"need": 60, "have": 12},
            "retry": False,
        },
    }


@pytest.mark.parametrize("code", sorted(ERROR_CODES))
def test_every_error_says_whether_to_send_again_as_the_table_does(code: str) -> None:
    body = error_of(error_reply(None, None, Refused(code, "A sentence.", retry_after=1.23456)))
    assert body == {
        "code": code,
        "message": "A sentence.",
        "retry": ERROR_CODES[code].retry,
        "retry_after": 1.235,
    }


def test_a_push_has_a_message_only_when_there_is_one() -> None:
    frame = push_frame("all", 3, "announcement", "2030-01-01T00:00:00Z", b'{"a":1}', message="Hi.")
    with_message = json.loads(frame)
    assert with_message == {
        "type": "push",
        "stream": "all",
        "offset": 3,
        "event": "announcement",
        "at": "2030-01-01T00:00:00Z",
        "data": {"a": 1},
        "message": "Hi.",
    }
    assert "message" not in json.loads(push_frame("all", 3, "announcement", "x", b"{}", message=None))
