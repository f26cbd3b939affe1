"""The examples run: their own tests, and each behind a real server. README shows their code, and commands."""

import ast
import importlib.util
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from starwire.client import Client, CommandError, guest
from starwire.clock import SystemClock
from tests.support.machine import REPOSITORY
from tests.support.provider import RSA_KEYS, providing, published
from tests.support.server import STARWIRE, environment

EXAMPLES = REPOSITORY / "examples"
README = (REPOSITORY / "README.md").read_text(encoding="utf-8")


def own_tests() -> list[tuple[str, str]]:
    return [
        (path.relative_to(EXAMPLES).as_posix(), node.name)
        for path in sorted(EXAMPLES.glob("*/test_*.py"))
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    ]


@pytest.mark.parametrize(("file", "name"), own_tests())
def test_an_examples_own_tests_pass(file: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    getattr(module_with_app_beside(EXAMPLES / file, monkeypatch), name)()


def module_with_app_beside(path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A module of tests that imports the `app` in its own folder, as pytest would there."""
    monkeypatch.syspath_prepend(path.parent)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.delitem(sys.modules, "app", raising=False)
    specification = importlib.util.spec_from_file_location(f"example_{path.parent.name}", path)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    monkeypatch.delitem(sys.modules, "app")
    return module


def test_every_example_says_how_to_run_it_and_has_tests() -> None:
    for folder in (each for each in EXAMPLES.iterdir() if each.is_dir()):
        assert (folder / "README.md").is_file(), folder
        assert [*folder.glob("test_*.py"), *folder.glob("*_test.go")], folder


@contextmanager
def served(example: str, folder: Path, *arguments: str, **more: str) -> Iterator[tuple[str, Path]]:
    """`starwire serve` in a copy of an example, as its README says: the server's address, and the copy."""
    here = folder / example
    shutil.copytree(EXAMPLES / example, here)
    process = subprocess.Popen(
        [STARWIRE, "serve", *arguments],
        cwd=here,
        env=environment(port="0") | more,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    lines = []
    try:
        for line in process.stdout:
            lines.append(line)
            if found := re.search(r" is at (http://\S+)", line):
                yield found[1], here
                return
        raise AssertionError(f"the server ended:\n{''.join(lines)}")
    finally:
        process.terminate()
        process.communicate(timeout=30)


@contextmanager
def lines_of(script: Path, *arguments: str) -> Iterator[Iterator[str]]:
    """What a script prints, line by line, while it runs."""
    process = subprocess.Popen(
        [sys.executable, script, *arguments], env=environment(), stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        yield process.stdout
    finally:
        process.kill()
        process.communicate()


async def test_the_orchard_is_served_as_it_is(tmp_path: Path) -> None:
    with served("orchard", tmp_path, "--dev") as (url, _):
        async with Client(url, tokens=await guest(url)) as client:
            await client.command("plant", seconds=1)
            ripe = await client.wait_for("ripe")
            assert (ripe.stream, ripe.data) == (f"player:{client.player}", {"apples": 3})
            assert (await client.view("look")).result == 3


async def test_what_is_said_in_the_square_is_heard_in_a_terminal(tmp_path: Path) -> None:
    hear = EXAMPLES / "smallest_stream" / "hear.py"
    with served("smallest_stream", tmp_path, "--app", "app:app") as (url, _), lines_of(hear, url) as heard:
        assert next(heard) == "listening\n"
        async with Client(url, tokens=await guest(url)) as client:
            await client.command("say", text="Good morning.")
            assert next(heard) == f"{client.player}: Good morning.\n"


def test_the_page_of_the_square_is_served_with_all_it_imports(tmp_path: Path) -> None:
    with served("smallest_stream", tmp_path) as (url, here):
        page = urlopen(url).read().decode()
        assert page == (here / "web" / "index.html").read_text()
        script = urlopen(url + str(re.search(r'src="([^"]+)"', page)[1])).read().decode()  # type: ignore[index]
        assert urlopen(url + str(re.search(r'from "([^"]+)"', script)[1])).status == 200  # type: ignore[index]


async def test_a_payment_that_is_told_twice_counts_once(tmp_path: Path) -> None:
    with served("webhook", tmp_path, "--dev", HOOK_SECRET="open sesame") as (url, _):
        async with Client(url, tokens=await guest(url)) as client:
            notice = {"id": "1", "player": client.player, "coins": 5}
            assert post(f"{url}/hooks/paid", notice, secret="open sesame") == (200, {"coins": 5})
            assert post(f"{url}/hooks/paid", notice, secret="open sesame") == (200, {"coins": 5})
            assert (await client.wait_for("paid")).data == {"coins": 5}
            assert post(f"{url}/hooks/paid", notice, secret="guessed") == (401, {"error": "unauthorized"})
            more = {"id": "2", "player": client.player, "coins": 0}
            assert post(f"{url}/hooks/paid", more, secret="open sesame") == (409, {"error": "no_coins"})
            assert (await client.view("purse")).result == 5


def post(url: str, body: object, *, secret: str) -> tuple[int, object]:
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {secret}"}
    try:
        with urlopen(Request(url, json.dumps(body).encode(), headers)) as answer:
            return answer.status, json.load(answer)
    except HTTPError as error:
        with error:
            return error.code, json.load(error)


async def test_a_mine_can_be_built_and_cancelled_over_a_socket(tmp_path: Path) -> None:
    with served("homestead", tmp_path, "--dev") as (url, _):
        async with Client(url, tokens=await guest(url)) as client:
            started = await client.command("build_mine")
            assert (await client.wait_for("process_started")).data["data"] == {"level": 2}
            await client.command("cancel", process=started["process"])
            assert (await client.wait_for("process_cancelled")).data["process"] == started["process"]
            assert (await client.view("look")).result["metal"] >= 100


async def test_players_come_with_the_tokens_of_their_provider(tmp_path: Path) -> None:
    with providing(SystemClock()) as provider:
        provider.keys = [published(RSA_KEYS[0], "1")]
        named = {"OPENID_ISSUER": provider.url, "OPENID_AUDIENCE": "mygame"}
        with served("openid", tmp_path, "--dev", **named) as (url, _):
            assert post(f"{url}/auth/guest", {}, secret="")[0] == 404
            async with Client(url, tokens=lambda: provider.sign(RSA_KEYS[0], "1")) as client:
                assert (await client.view("who_am_i")).result == "ann"
                with pytest.raises(CommandError, match="operator"):
                    await client.command("close")
            chief = provider.sign(RSA_KEYS[0], "1", operator=True)
            async with Client(url, tokens=lambda: chief) as client:
                assert await client.command("close") == "closed by ann"


# What README and the tutorial show


def blocks(language: str, text: str = README) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize(
    "page",
    ["README.md", *sorted(f"docs/how-to/{path.name}" for path in (REPOSITORY / "docs").glob("how-to/*"))],
)
def test_the_code_on_a_page_is_code_of_the_examples(page: str) -> None:
    code = [path.read_text(encoding="utf-8") for path in sorted(EXAMPLES.rglob("*.py"))]
    shown = blocks("python", (REPOSITORY / page).read_text(encoding="utf-8"))
    assert page != "README.md" or len(shown) == 2
    for block in shown:
        assert any(block.strip() in each for each in code), f"on {page}, but in no example:\n{block}"


def test_who_follows_the_tutorial_arrives_at_the_homestead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tutorial = (REPOSITORY / "docs" / "tutorial" / "first-game.md").read_text(encoding="utf-8")
    homestead = EXAMPLES / "homestead"
    *app, tests = blocks("python", tutorial)
    code = (homestead / "app.py").read_text(encoding="utf-8")
    assert not [block for block in app if block.strip() not in code]
    assert tests.strip() in (homestead / "test_app.py").read_text(encoding="utf-8")
    assert blocks("html", tutorial) == [(homestead / "web" / "index.html").read_text(encoding="utf-8")]
    assert blocks("js", tutorial) == [(homestead / "web" / "page.js").read_text(encoding="utf-8")]
    (tmp_path / "app.py").write_text("\n\n".join(app), encoding="utf-8")
    (tmp_path / "test_app.py").write_text(tests, encoding="utf-8")
    shutil.copytree(homestead / "web", tmp_path / "web")
    module = module_with_app_beside(tmp_path / "test_app.py", monkeypatch)
    for name in [name for name in dir(module) if name.startswith("test_")]:
        getattr(module, name)()


def test_a_new_project_begins_as_the_orchard(tmp_path: Path) -> None:
    subprocess.run([STARWIRE, "new", "orchard"], cwd=tmp_path, env=environment(), check=True)
    made, ours = tmp_path / "orchard" / "app.py", EXAMPLES / "orchard" / "app.py"
    assert made.read_text(encoding="utf-8") == ours.read_text(encoding="utf-8")


def test_the_commands_in_readme_exist() -> None:
    make = subprocess.run(["make", "help"], cwd=REPOSITORY, check=True, capture_output=True, text=True).stdout
    targets = {line.split()[1] for line in make.splitlines() if line.startswith("  make ")}
    wide = environment() | {"COLUMNS": "200"}
    starwire = subprocess.run(
        [STARWIRE, "--help"], env=wide, check=True, capture_output=True, text=True
    ).stdout
    tools = set(re.findall(r"^[│ ] (\w+) ", starwire, re.MULTILINE))
    assert {"run", "test"} <= targets
    assert {"play", "serve"} <= tools
    for name in re.findall(r"(?<=`)make (\w+)|^make (\w+)", README, re.MULTILINE):
        assert "".join(name) in targets
    for name in re.findall(r"(?<=`)starwire (\w+)|^starwire (\w+)", README, re.MULTILINE):
        assert "".join(name) in tools
