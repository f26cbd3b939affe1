"""The JavaScript client: its own tests in Node, its types in tsc, and the table it shares with the server."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from starwire.errors import CLOSE_CODES
from tests.support.machine import REPOSITORY, find_node

TYPESCRIPT = "typescript@5.9.3"
TESTS = REPOSITORY / "tests" / "js"
CLIENT = REPOSITORY / "src" / "starwire" / "web" / "starwire.js"

pytestmark = pytest.mark.node


def node(*arguments: str) -> subprocess.CompletedProcess[str]:
    program = find_node()
    assert program is not None
    return subprocess.run(
        [program, *arguments], cwd=REPOSITORY, capture_output=True, text=True, timeout=50, check=False
    )


def test_the_client_does_what_its_own_tests_say() -> None:
    done = node("--test", *(str(path) for path in sorted(TESTS.glob("*.test.mjs"))))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "\n# fail 0\n" in done.stdout
    assert "\n# tests 0\n" not in done.stdout


def test_the_client_reads_close_codes_as_the_server_means_them() -> None:
    script = f"import({json.dumps(CLIENT.as_uri())}).then((m) => console.log(JSON.stringify(m.CLOSE_CODES)))"
    done = node("--eval", script)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        str(row.code): {"name": row.name, "reconnect": row.reconnect} for row in CLOSE_CODES.values()
    }


def test_every_name_the_client_exports_has_a_type() -> None:
    script = f"import({json.dumps(CLIENT.as_uri())}).then((m) => console.log(Object.keys(m).join(' ')))"
    names = node("--eval", script).stdout.split()
    types = CLIENT.with_suffix(".d.ts").read_text(encoding="utf-8")
    assert names
    missing = [
        name
        for name in names
        if not any(f"export {kind} {name}" in types for kind in ("class", "function", "const"))
    ]
    assert not missing, f"starwire.d.ts does not declare {missing}"


MEMBERS = """
import(%s).then(({ Client, CommandError, AuthError }) => {
  const client = new Client({ url: "ws://game.test/ws", tokens: { access_token: "a" }, WebSocket: class {} });
  const made = [client, new CommandError({ code: "internal" }), new AuthError("internal", "No.")];
  const names = made.map((each) => [
    ...Object.keys(each),
    ...Object.getOwnPropertyNames(Object.getPrototypeOf(each)).filter((name) => name !== "constructor"),
  ]);
  const options = Client.toString().match(/constructor\\(\\{([^]*?)\\} = \\{\\}\\)/)[1];
  const taken = [...options.matchAll(/^ {4}(\\w+)/gm)].map(([, name]) => name);
  console.log(JSON.stringify([...names, taken]));
});
"""


def test_the_types_have_the_members_and_options_that_the_client_has_and_no_others() -> None:
    done = node("--eval", MEMBERS % json.dumps(CLIENT.as_uri()))
    assert done.returncode == 0, done.stderr
    types = CLIENT.with_suffix(".d.ts").read_text(encoding="utf-8")
    for declaration, names in zip(
        ("class Client<", "class CommandError ", "class AuthError ", "interface ClientOptions "),
        json.loads(done.stdout),
        strict=True,
    ):
        body = re.split(rf"^export {declaration}.*$", types, flags=re.MULTILINE)[1].split("\n}", 1)[0]
        declared = set(re.findall(r"^  (?:readonly )?(\w+)\??[<(:]", body, re.MULTILINE)) - {"constructor"}
        assert declared == set(names) | ({"message"} & declared), declaration


@pytest.mark.timeout(180)
def test_a_page_written_with_types_passes_tsc() -> None:
    done = subprocess.run(
        [*typescript(), "--project", str(TESTS / "tsconfig.json")],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def typescript() -> list[str]:
    """The TypeScript compiler of this machine, or the one that npm can get; else the test is skipped."""
    if shutil.which("tsc"):
        return ["tsc"]
    npx = shutil.which("npx")
    if npx is None:
        pytest.skip("NOT TESTED: the types of starwire.js; there is neither tsc nor npx on this machine")
    command = [npx, "--yes", "--package", TYPESCRIPT, "tsc"]
    try:
        subprocess.run([*command, "--version"], cwd=Path.home(), capture_output=True, timeout=100, check=True)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
        pytest.skip(f"NOT TESTED: the types of starwire.js; npx cannot get {TYPESCRIPT} on this machine")
    return command
