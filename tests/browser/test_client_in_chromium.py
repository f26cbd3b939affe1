"""The behaviours of tests/js/behaviours.mjs in a real Chromium, which loads the client from a real server.

The page is one of the server's own, with its policy. What a behaviour does to the server it asks of here.
"""

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Route

from tests.support.machine import REPOSITORY
from tests.support.server import ServerProcess

BEHAVIOURS = REPOSITORY / "tests" / "js" / "behaviours.mjs"
PLAY = """
async (name) => {
  const starwire = await import("/starwire/starwire.js");
  const { behaviours, run } = await import("/behaviours.mjs");
  const calls = ["start", "kill", "stop", "freeze", "thaw"];
  const server = { url: location.origin };
  for (const each of calls) server[each] = () => globalThis.server(each);
  const wake = () => globalThis.dispatchEvent(new Event("online"));
  await run(behaviours.find((each) => each.name === name), { starwire, server, wake });
}
"""

pytestmark = pytest.mark.timeout(90)


def behaviours() -> dict[str, dict[str, str] | None]:
    """Name → settings of a server of its own, or None: any will do."""
    found = re.findall(
        r'^    name: "(.+)",\n(?:    settings: (\{.*\}),\n)?', BEHAVIOURS.read_text("utf-8"), re.MULTILINE
    )
    return {
        name: dict(re.findall(r'STARWIRE_(\w+): "(.*?)"', settings)) if settings else None
        for name, settings in found
    }


SHARED = [name for name, settings in behaviours().items() if settings is None]
MORTAL = {name: settings for name, settings in behaviours().items() if settings is not None}


def village(folder: Path, settings: dict[str, Any]) -> ServerProcess:
    lower = {name.lower(): value for name, value in settings.items()}
    return ServerProcess(folder, app="tests.support.village:app", **lower)


@pytest.fixture(scope="module")
def lasting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    process = village(tmp_path_factory.mktemp("village"), {})
    process.start()
    yield process
    process.close()


def play(context: BrowserContext, server: ServerProcess, name: str) -> None:
    page = context.new_page()
    raised: list[str] = []
    page.on("pageerror", lambda error: raised.append(str(error)))
    page.route(f"{server.url}/behaviours.mjs", give_behaviours)
    page.expose_function("server", lambda what: control(server, what))
    page.goto(f"{server.url}/healthz")
    page.evaluate(PLAY, name)
    page.close()
    assert not raised


def give_behaviours(route: Route) -> None:
    route.fulfill(path=BEHAVIOURS, content_type="text/javascript")


def control(server: ServerProcess, what: str) -> None:
    if what == "freeze":
        os.kill(server.pid, signal.SIGSTOP)
    elif what == "thaw":
        os.kill(server.pid, signal.SIGCONT)
    elif what == "stop":
        assert server.stop() == 0
    elif what == "kill":
        server.kill()
    else:
        server.start()


@pytest.mark.parametrize("name", SHARED)
def test_in_chromium(context: BrowserContext, lasting: ServerProcess, name: str) -> None:
    play(context, lasting, name)


@pytest.mark.parametrize("name", MORTAL)
def test_in_chromium_while_servers_come_and_go(context: BrowserContext, tmp_path: Path, name: str) -> None:
    server = village(tmp_path, MORTAL[name])
    server.start()
    try:
        play(context, server, name)
    finally:
        server.close()


def test_every_behaviour_is_run_here() -> None:
    assert SHARED
    assert MORTAL
    assert len(SHARED) + len(MORTAL) == BEHAVIOURS.read_text("utf-8").count("async run(stage)")
