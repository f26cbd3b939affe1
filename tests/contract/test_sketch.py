"""What the first sketch asked of every connection: bad JSON, missing commands, and who was there."""

from typing import Any

import pytest
from structlog.testing import capture_logs

from tests.contract.harness import Engine


def logged(logs: list[Any], event: str) -> list[dict[str, Any]]:
    return [dict(entry) for entry in logs if entry["event"] == event]


@pytest.mark.parametrize("text", ["hello?", "{", '{"command": "note"', ""])
async def test_bad_json_is_answered_logged_with_the_player_and_the_connection_goes_on(
    engine: Engine, text: str
) -> None:
    await engine.start()
    ann = await engine.connect("ann")
    with capture_logs() as logs:
        await ann.send(text)
        reply = await ann.reply(None)
    assert reply == {
        "type": "reply",
        "id": None,
        "command": None,
        "ok": False,
        "error": {"code": "malformed", "message": "JSON. JSON please", "retry": False},
    }
    (warning,) = logged(logs, "bad_frame")
    assert (warning["log_level"], warning["sub"]) == ("warning", "ann")
    assert await ann.command("note", text="still here") == 1


async def test_a_missing_command_is_answered_with_command_null_and_the_connection_goes_on(
    engine: Engine,
) -> None:
    await engine.start()
    ann = await engine.connect("ann")
    await ann.send('{"id":"k1","args":{}}')
    reply = await ann.reply("k1")
    assert (reply["command"], reply["error"]["code"]) == (None, "missing_command")
    await ann.command("ping")


async def test_a_binary_frame_is_answered_and_the_connection_goes_on(engine: Engine) -> None:
    await engine.start()
    ann = await engine.connect("ann")
    await ann.send(b'{"command":"ping"}')
    assert "JSON. JSON please" in (await ann.reply(None))["error"]["message"]
    await ann.command("ping")


async def test_too_many_bad_frames_close_with_4400(engine: Engine) -> None:
    await engine.start(abuse_strikes=3)
    ann = await engine.connect("ann")
    for _ in range(4):
        await ann.send("nonsense")
    assert (await ann.told_to_leave())[0] == 4400
    assert len(ann.replies(None)) == 4, "each was answered"


@pytest.mark.parametrize("politely", [True, False])
async def test_a_disconnect_is_logged_with_the_player(engine: Engine, politely: bool) -> None:
    await engine.start()
    ann, bob = await engine.connect("ann"), await engine.connect("bob")
    with capture_logs() as logs:
        if politely:
            await ann.leave()
        else:
            ann.vanish()
        while not logged(logs, "disconnected"):
            await bob.command("ping")
    (entry,) = logged(logs, "disconnected")
    assert (entry["sub"], entry["code"]) == ("ann", 1000 if politely else 1006)


async def test_no_token_and_no_content_is_logged(engine: Engine) -> None:
    await engine.start()
    with capture_logs() as logs:
        ann = await engine.connect("ann;session=very-secret")
        await ann.send("a secret that is no JSON")
        await ann.command("note", text="a secret note")
        await ann.refused("spoil", how="reject", text="a secret order")
        await ann.leave()
    assert logs
    assert "secret" not in str(logs)
