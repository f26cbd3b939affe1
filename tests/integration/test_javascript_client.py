"""The JavaScript client against a real server, which is killed and restarted while it is connected."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.machine import REPOSITORY, find_node


@pytest.mark.crash
@pytest.mark.node
@pytest.mark.timeout(120)
def test_the_javascript_client_keeps_its_promises_against_a_real_server() -> None:
    node = find_node()
    assert node is not None
    done = subprocess.run(
        [node, "--experimental-websocket", str(REPOSITORY / "tests" / "js" / "real.test.mjs")],
        cwd=REPOSITORY,
        env={**os.environ, "STARWIRE_COMMAND": str(Path(sys.executable).parent / "starwire")},
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "SKIP" not in done.stdout, "no WebSocket in this Node.js: it needs Node.js 20.10 or later"
