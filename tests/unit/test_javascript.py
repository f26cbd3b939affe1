"""The JavaScript client: its own tests in Node, its types in tsc, and the table it shares with the server."""

import json
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
