"""Text messages that are no command: one reply each, with the code that protocol.md names."""

import json
import sys
from collections import Counter
from collections.abc import Iterator
from random import Random

import pytest

from tests.conftest import SEED
from tests.hostile.wire import BINARY, Wire, frame, order, text_frame
from tests.support.server import ServerProcess

STRIKES = 20
"""Bad frames that a connection is forgiven within a minute, by the table of limits."""
DEEP = 20_000
NINES = "9" * 400

MALFORMED = [
    # no JSON
    "", " ", "nonsense", "{", "}", "{}{}", '{"command":"ping"', '{"command":"ping",}', '{"command":"ping"} x',
    "{'command':'ping'}", "{command:1}", '{"command":"ping"}//', '{"command":"p\x00ing"}',
    '{"command":"a\nb"}', "\ufeff" + order("ping"), "\x00", "\x00" * 1000, '{"command":"\\x41"}',
    '{"command":"\\u00"}', '{"a":01}', '{"command":"\\ud800"}', '{"id":"\\udfff","command":"ping"}',
    '{"a":.5}', '{"a":+1}', '{"a":1e}', '{"a":0x1}', '{"command":"ping","args":{"t":NaN}}',
    '{"command":"ping","args":{"t":Infinity}}', '{"a":tru}', '{"a":"b}', "GET / HTTP/1.1\r\n\r\n",
    "<script>alert(1)</script>", "%7B%7D", "'; DROP TABLE starwire_reply; --",
    # JSON, and no object
    "null", "true", "0", "-1", "1e999", NINES, '"hello"', "[]", '[{"command":"ping"}]', '["command","ping"]',
    '{"command":1e400}', '{"id":-1e400,"command":"ping"}',
    # deeper than any reader goes
    "[" * DEEP, "[" * DEEP + "]" * DEEP, '{"a":' * 8000, '{"a":' * 8000 + "1" + "}" * 8000,
    '{"command":"ping","args":' + '{"a":' * 8000 + "1" + "}" * 8000 + "}",
    '{"a":' + "[" * DEEP + "]" * DEEP + "}",
    # as long as may be
    "x" * 65_536, '"' + "x" * 65_534 + '"', " " * 65_536,
]  # fmt: skip

MISSING = [
    "{}", '{"id":"a"}', '{"command":null}', '{"command":""}', '{"command":0}', '{"command":true}',
    '{"command":["ping"]}', '{"command":{"$ne":null}}', '{"Command":"ping"}', '{"command ":"ping"}',
    '{"type":"reply","ok":true}', '{"args":{}}', '{"\\u0000":"ping"}',
]  # fmt: skip

INVALID = [
    # ids
    '{"id":1,"command":"ping"}', '{"id":"","command":"ping"}', '{"id":[],"command":"ping"}',
    '{"id":{},"command":"ping"}', '{"id":false,"command":"ping"}', f'{{"id":{NINES},"command":"ping"}}',
    json.dumps({"id": "x" * 65, "command": "ping"}), json.dumps({"id": "é" * 33, "command": "ping"}),
    json.dumps({"id": "x" * 60_000, "command": "ping"}), '{"id":"\\u0000","command":"ping"}',
    # args that are no object
    '{"command":"ping","args":[]}', '{"command":"ping","args":"{}"}', '{"command":"ping","args":0}',
    '{"command":"count","args":true}', '{"command":"write","args":"mark"}',
    f'{{"command":"a","args":{NINES}}}',
]  # fmt: skip

WRONG_ARGS = [
    # a command's or a view's own arguments
    order("write"), order("write", mark=None), order("write", mark=1), order("write", mark=["a"]),
    order("write", mark={"a": 1}), order("write", mark="a", seconds="1"), order("write", mark="a", more=1),
    order("write", mark="a", stream="player:1"), order("write", mark="a", player="1"),
    order("write", Mark="a"), order("tell", mark="a", room=1.5), order("tell", mark="a", room="1"),
    order("tell", mark="a", room=True), f'{{"command":"write","args":{{"mark":"a","seconds":{NINES}}}}}',
    order("count", player="1"), '{"command":"write","args":{"mark":"a","seconds":1e999}}',
    order("write", mark="a\0"), '{"command":"write","args":' + '{"mark":' * 200 + "1" + "}" * 200 + "}",
]  # fmt: skip

UNKNOWN = [
    order(name)
    for name in (
        "nothing", "WRITE", "write ", "wri\u200bte", "__init__", "../write", "write\x00", "é" * 500, "dry",
        "starwire.commands", "revoke_session", "heartbeat", "subscribe", "count;write", "💥",
    )
]  # fmt: skip


def batches(texts: list[str], size: int = STRIKES) -> list[list[str]]:
    return [texts[start : start + size] for start in range(0, len(texts), size)]


@pytest.mark.parametrize(
    ("code", "texts"),
    [("malformed", MALFORMED), ("missing_command", MISSING), ("invalid_args", INVALID)],
    ids=["malformed", "missing_command", "invalid_args"],
)
async def test_a_bad_frame_gets_the_code_that_is_documented_and_the_connection_goes_on(
    server: ServerProcess, token: str, code: str, texts: list[str]
) -> None:
    for batch in batches(texts):
        async with Wire.greeted(server.port, token) as wire:
            for text in batch:
                assert await wire.code(text) == code, text[:200]
                if code == "malformed":
                    assert (wire.replies[-1]["id"], wire.replies[-1]["command"]) == (None, None)
            assert (await wire.ask("ping", "still"))["ok"]


@pytest.mark.parametrize(
    ("code", "texts"), [("invalid_args", WRONG_ARGS), ("unknown_command", UNKNOWN)], ids=["args", "names"]
)
async def test_a_command_that_is_wrong_is_refused_and_is_no_bad_frame(
    server: ServerProcess, token: str, code: str, texts: list[str]
) -> None:
    async with Wire.greeted(server.port, token) as wire:
        for _ in range(3):  # more often than a bad frame is forgiven
            for text in texts:
                assert await wire.code(text) == code, text[:200]
        assert (await wire.ask("count", "c"))["result"] == 0


async def test_the_words_are_those_of_the_sketch(server: ServerProcess, token: str) -> None:
    async with Wire.greeted(server.port, token) as wire:
        await wire.say("JSON?")
        assert (await wire.reply())["error"]["message"] == "JSON. JSON please"
        await wire.send(frame(BINARY, order("ping").encode()))
        assert (await wire.reply())["error"]["code"] == "malformed"


async def test_the_last_of_repeated_fields_counts_and_null_is_as_good_as_nothing(
    server: ServerProcess, token: str
) -> None:
    async with Wire.greeted(server.port, token) as wire:
        await wire.say('{"command":"nothing","id":"a","id":"b","command":"ping","more":1}')
        assert (reply := await wire.reply())["ok"]
        assert (reply["id"], reply["command"]) == ("b", "ping")
        await wire.say('{"command":"count","id":null,"args":null}')
        assert (reply := await wire.reply())["ok"]
        assert reply["id"] is None


@pytest.mark.parametrize("stranger", [True, False], ids=["before hello", "after hello"])
async def test_the_twenty_first_bad_frame_within_a_minute_is_the_last(
    server: ServerProcess, token: str, stranger: bool
) -> None:
    async with Wire.open(server.port) as wire:
        if not stranger:
            assert (await wire.ask("hello", "h", token=token))["ok"]
        for number in range(STRIKES + 1):
            await wire.say(order("ping", "p") if stranger else "nonsense")
            expected = "unauthorized" if stranger else "malformed"
            assert (await wire.reply())["error"]["code"] == expected, number
        assert (await wire.end()).code == 4400


@pytest.mark.parametrize("command", ["ping", "processes", "count", "write", "refresh", "nothing"])
async def test_whoever_has_not_said_hello_is_a_stranger_whatever_they_ask(
    server: ServerProcess, command: str
) -> None:
    async with Wire.open(server.port) as wire:
        assert (await wire.ask(command, "x", token="t", mark="m"))["error"]["code"] == "unauthorized"


async def test_a_thousand_hellos_are_one(server: ServerProcess, token: str) -> None:
    hello = order("hello", "h", token=token)
    async with Wire.open(server.port) as wire:
        await wire.send(text_frame(hello) * 1000)
        for _ in range(1000):
            await wire.reply()
        said = Counter(reply["error"]["code"] if not reply["ok"] else "ok" for reply in wire.replies)
        assert said["ok"] == 1
        assert set(said) <= {"ok", "invalid_args", "rate_limited"}
    async with Wire.greeted(server.port, token) as wire:
        for number in range(STRIKES + 1):
            assert await wire.code(hello) == "invalid_args", number
        assert (await wire.end()).code == 4400


@pytest.fixture
def deep_reader() -> Iterator[None]:
    """Read deeper than the server does."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(limit * 3)
    yield
    sys.setrecursionlimit(limit)


@pytest.mark.usefixtures("deep_reader")
async def test_every_depth_of_nesting_gets_one_reply(server: ServerProcess, token: str) -> None:
    """Where the server's reader still follows, its writer must follow too."""
    deepest = 0
    for start in range(940, 1040, STRIKES):
        async with Wire.greeted(server.port, token) as wire:
            for depth in range(start, start + STRIKES):
                code = await wire.code('{"command":"ping","args":{"t":' + "[" * depth + "]" * depth + "}}")
                assert code in {"ok", "malformed"}, depth
                deepest = max(deepest, depth if code == "ok" else 0)
            assert (await wire.ask("ping", "still"))["ok"]
    assert deepest < 1040, "the test does not reach the edge"


@pytest.mark.parametrize("rounds", [30, pytest.param(1500, marks=pytest.mark.soak)])
@pytest.mark.timeout(900)
async def test_whatever_is_made_of_a_good_frame_gets_one_reply_with_a_documented_code(
    server: ServerProcess, token: str, rng: Random, rounds: int
) -> None:
    print(f"seed {SEED}")
    documented = {"ok", "malformed", "missing_command", "invalid_args", "unknown_command", "rejected"}
    good = [
        *WRONG_ARGS,
        order("spoil", mark="x"),
        order("ping", "p", t=[1, {"a": None}]),
        order("count", "c"),
    ]
    for _ in range(rounds):
        async with Wire.greeted(server.port, token) as wire:
            for _ in range(STRIKES):
                text = mutated(rng.choice(good), rng)
                assert await wire.code(text) in documented, text
            assert (await wire.ask("ping", "still"))["ok"]


def mutated(text: str, rng: Random) -> str:
    """The text with a few characters gone, doubled, swapped or strange."""
    letters = list(text)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(letters) or 1)
        how = rng.choice(["gone", "strange", "doubled", "cut", "part"])
        if how == "gone":
            del letters[at : at + 1]
        elif how == "strange":
            letters.insert(at, rng.choice('{}[]",:\\\x00\n 0-9eE.tfn\ud800é💥'))
        elif how == "doubled":
            letters[at:at] = letters[at : at + rng.randint(1, 8)]
        elif how == "cut":
            del letters[at + 1 :]
        else:
            del letters[at : at + rng.randint(1, 8)]
    return "".join(letters).replace("\ud800", "\\ud800")
