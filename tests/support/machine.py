"""What this machine offers the tests beyond Python: a Chromium, a Node.js and a Go.

`tools/browser` knows the same names; it installs what is missing where it may.
"""

import re
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]

CHROMIUM_NAMES = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
)
NODE_NAMES = ("node", "nodejs")
GO_VERSION = (1, 21)

# No sandbox: the tests also run as root in containers. The rest keeps the browser off the network.
CHROMIUM_ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def find_chromium() -> str | None:
    """Return the path of a Chromium, or None."""
    return _first_on_path(CHROMIUM_NAMES)


def find_node() -> str | None:
    """Return the path of a Node.js, or None."""
    return _first_on_path(NODE_NAMES)


def find_go() -> str | None:
    """Return the path of a Go that is new enough for examples/telescope, or None."""
    path = _first_on_path(("go",))
    if path is None:
        return None
    told = subprocess.run([path, "version"], capture_output=True, text=True, check=False).stdout
    version = re.search(r"\bgo(\d+)\.(\d+)", told)
    return path if version and (int(version[1]), int(version[2])) >= GO_VERSION else None


def _first_on_path(names: Iterable[str]) -> str | None:
    return next((path for name in names if (path := shutil.which(name))), None)
