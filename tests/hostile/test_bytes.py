"""Bytes that are no WebSocket messages: each ends the connection with the code that the document names."""

from pathlib import Path

import pytest

from starwire.client import guest
from starwire.gateway.websocket import WebSocket
from tests.hostile.wire import (
    BINARY,
    CLOSE,
    CONT,
    PING,
    PONG,
    TEXT,
    Wire,
    close_frame,
    frame,
    order,
    text_frame,
)
from tests.support.orchard import orchard
from tests.support.server import ServerProcess
from tests.support.serving import serving

FRAME_BYTES = 65_536
AFTER = text_frame(order("write", "after", mark="sneaked in"))
"""Sent behind the bad bytes at once; nothing that comes after them may happen."""

NO_FRAMES = {
    "unmasked": frame(TEXT, b"{}", masked=False),
    "first reserved bit, as compressed": frame(TEXT, b"{}", reserved=4),
    "second reserved bit": frame(TEXT, b"{}", reserved=2),
    "third reserved bit": frame(TEXT, b"{}", reserved=1),
    "reserved bit of a ping": frame(PING, reserved=4),
    "unknown data opcode": frame(3, b"x"),
    "unknown control opcode": frame(11, b"x"),
    "ping too long": frame(PING, b"x" * 126),
    "ping in fragments": frame(PING, b"x", fin=False),
    "close in fragments": frame(CLOSE, fin=False),
    "end of nothing": frame(CONT, b"x"),
    "middle of nothing": frame(CONT, b"x", fin=False),
    "text within a text": frame(TEXT, b"a", fin=False) + frame(TEXT, b"b"),
    "binary within a text": frame(TEXT, b"a", fin=False) + frame(BINARY, b"b"),
    "close with half a code": frame(CLOSE, b"\x03"),
    "close with a code that is none": close_frame(999),
    "close with a code that may not be sent": close_frame(1006),
    "close with a code of nobody": close_frame(65_535),
    "another HTTP request": b"GET / HTTP/1.1\r\n\r\n",
    "zeros": bytes(200),
    "ones": b"\xff" * 200,
}
NO_UTF8 = {
    "no UTF-8": frame(TEXT, b"\xff"),
    "a character cut off": frame(TEXT, b'"\xe2\x82"'),
    "a surrogate": frame(TEXT, b"\xed\xa0\x80"),
    "two bytes for one": frame(TEXT, b"\xc0\xaf"),
    "past the last character": frame(TEXT, b"\xf4\x90\x80\x80"),
    "wrong over two fragments": frame(TEXT, b"\xe2", fin=False) + frame(CONT, b"\x28"),
    "cut off at the last fragment": frame(TEXT, b"\xe2", fin=False) + frame(CONT, b"\x82"),
    "wrong in a fragment that is not the last": frame(TEXT, b"\xff", fin=False) + frame(CONT, b"x"),
    "reason of a close": close_frame(1000, b"\xff"),
}
TOO_BIG = {
    "one byte more": frame(TEXT, b"x" * (FRAME_BYTES + 1)),
    "only announced": frame(TEXT, says=FRAME_BYTES + 1),
    "announced as huge": frame(TEXT, says=2**62),
    "announced as more than any": frame(BINARY, says=2**64 - 1),
    "by fragments": frame(TEXT, b"x" * FRAME_BYTES, fin=False) + frame(CONT, b"x"),
    "by many fragments": frame(BINARY, fin=False) + frame(CONT, b"x" * 1000, fin=False) * 66,
}
ENDINGS = [
    *((name, 1002, bad) for name, bad in NO_FRAMES.items()),
    *((name, 1007, bad) for name, bad in NO_UTF8.items()),
    *((name, 1009, bad) for name, bad in TOO_BIG.items()),
]


async def test_bad_bytes_end_the_connection_with_the_documented_code_and_nothing_after_them_happens(
    server: ServerProcess, token: str
) -> None:
    wrong = {}
    for name, code, bad in ENDINGS:
        async with Wire.greeted(server.port, token) as wire:
            await wire.send(bad, AFTER)
            ended = (await wire.end()).code
            if ended != code or len(wire.replies) > 1:
                wrong[name] = (ended, wire.replies[1:])
    assert not wrong
    async with Wire.greeted(server.port, token) as wire:
        assert (await wire.ask("count", "c"))["result"] == 0, "what came after bad bytes was carried out"


async def test_bad_bytes_before_hello_end_it_in_the_same_way(server: ServerProcess) -> None:
    for name, code, bad in (ENDINGS[0], ENDINGS[len(NO_FRAMES)], ENDINGS[-1]):
        async with Wire.open(server.port) as wire:
            await wire.send(bad)
            assert (await wire.end()).code == code, name


async def test_what_is_unusual_and_allowed_is_understood(server: ServerProcess, token: str) -> None:
    ping = order("ping", "p").encode()
    allowed = {
        "a length that is longer than it need be": frame(TEXT, ping, says=len(ping)),
        "one byte each": frame(TEXT, ping[:1], fin=False)
        + b"".join(frame(CONT, bytes([byte]), fin=False) for byte in ping[1:])
        + frame(CONT),
        "pings between fragments": frame(TEXT, ping[:9], fin=False)
        + frame(PING, b"?")
        + frame(CONT, ping[9:]),
        "pongs that nobody asked for": frame(PONG, b"!") * 100 + frame(TEXT, ping),
        "the largest frame": frame(TEXT, ping + b" " * (FRAME_BYTES - len(ping))),
    }
    for name, good in allowed.items():
        async with Wire.greeted(server.port, token) as wire:
            await wire.send(good)
            assert (await wire.reply())["id"] == "p", name


async def test_bytes_that_come_one_by_one_are_a_frame_all_the_same(server: ServerProcess, token: str) -> None:
    async with Wire.greeted(server.port, token) as wire:
        for byte in text_frame(order("ping", "slow")):
            await wire.send(bytes([byte]))
        assert (await wire.reply())["id"] == "slow"


async def test_what_was_sent_before_a_close_is_still_carried_out(server: ServerProcess, token: str) -> None:
    async with Wire.greeted(server.port, token) as wire:
        await wire.send(text_frame(order("write", "last", mark="last words")), close_frame(1000, b"bye"))
        assert (await wire.end()).code == 1000
    async with Wire.greeted(server.port, token, resume={}) as wire:
        assert (await wire.ask("write", "last", mark="last words"))["ok"]
        assert (await wire.ask("count", "c"))["result"] == 1


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
async def test_fragments_without_a_byte_are_kept_nowhere(tmp_path: Path, opcode: int) -> None:
    """They have no size that a limit could count."""
    async with serving(orchard(), tmp_path) as here:
        account = await guest(here.url)
        async with Wire.greeted(here.port, account["access_token"]) as wire:
            await wire.send(frame(opcode, fin=False), frame(CONT, fin=False) * 1000, frame(PING))
            await wire.control()
            open_now = here.uvicorn.server_state.connections
            (socket,) = [each for each in open_now if isinstance(each, WebSocket)]
            assert (socket._texts, socket._chunks) == ([], [])
