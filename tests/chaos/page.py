"""Where campaigns are written down: the tables of docs/explanation/soak.md."""

import re
import subprocess
from collections.abc import Iterable
from datetime import UTC, datetime

from tests.conftest import SEED
from tests.support.machine import REPOSITORY

PAGE = REPOSITORY / "docs" / "explanation" / "soak.md"


def write_down(heading: str, cells: Iterable[object], found: list[str]) -> None:
    """Append a row to the table under a heading: when, what, the seed, these cells, and what was wrong."""
    result = f"**{len(found)} complaints**: {found[0].splitlines()[0][:200]}" if found else "nothing wrong"
    row = " | ".join(map(str, (f"{datetime.now(UTC):%Y-%m-%d %H:%M}", commit(), SEED, *cells, result)))
    before, after = PAGE.read_text(encoding="utf-8").split(f"\n## {heading}\n")
    table, *rest = re.split(r"\n\n(?=## )", after)
    table = f"{table.rstrip()}\n| {row} |"
    PAGE.write_text(
        f"{before}\n## {heading}\n" + "\n\n".join([table, *rest]).rstrip() + "\n", encoding="utf-8"
    )


def commit() -> str:
    """What was tested; `+` when something in it had not been committed."""
    described = subprocess.run(
        ["git", "describe", "--always", "--dirty=+", "--exclude=*"],
        cwd=REPOSITORY, check=False, capture_output=True, text=True,
    )  # fmt: skip
    return described.stdout.strip() or "unknown"
