"""The long campaign: fifty kills at moments of every kind. `make soak` writes down what came of it."""

import subprocess
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import pytest

from tests.chaos.campaign import KINDS, Campaign, Tally
from tests.conftest import SEED
from tests.support.machine import REPOSITORY

pytestmark = [pytest.mark.crash, pytest.mark.soak]

KILLS = 50
PAGE = REPOSITORY / "docs" / "explanation" / "soak.md"


@pytest.mark.timeout(3600)
async def test_a_game_killed_fifty_times_loses_nothing_and_does_nothing_twice(
    tmp_path: Path, rng: Random
) -> None:
    print(f"seed {SEED}")
    campaign = Campaign(tmp_path, rng, print)
    found = await campaign.run([rng.choice(KINDS) for _ in range(KILLS)])
    write_down(campaign.tally, found)
    assert not found, "\n".join([f"seed {SEED}, data in {tmp_path}", *found[:20]])
    assert campaign.tally.kills == KILLS


def write_down(tally: Tally, found: list[str]) -> None:
    """Append a row to the table at the end of the page."""
    row = (
        f"{datetime.now(UTC):%Y-%m-%d %H:%M}",
        commit(),
        SEED,
        tally.kills,
        f"{tally.seconds:.0f} s",
        f"{tally.commands:,} ({tally.sent:,})",
        f"{tally.carried_out:,}",
        f"{tally.processes:,}",
        f"{tally.events:,} ({tally.told:,})",
        f"**{len(found)} complaints**: {found[0].splitlines()[0][:200]}" if found else "nothing wrong",
    )
    with PAGE.open("a", encoding="utf-8") as page:
        page.write(f"| {' | '.join(map(str, row))} |\n")


def commit() -> str:
    """What was tested; `+` when something in it had not been committed."""
    described = subprocess.run(
        ["git", "describe", "--always", "--dirty=+", "--exclude=*"],
        cwd=REPOSITORY, check=False, capture_output=True, text=True,
    )  # fmt: skip
    return described.stdout.strip() or "unknown"
