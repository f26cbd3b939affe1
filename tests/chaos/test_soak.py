"""The long campaign: fifty kills at moments of every kind. `make soak` writes down what came of it."""

from pathlib import Path
from random import Random

import pytest

from tests.chaos.campaign import KINDS, Campaign
from tests.chaos.page import write_down
from tests.conftest import SEED

pytestmark = [pytest.mark.crash, pytest.mark.soak]

KILLS = 50


@pytest.mark.timeout(3600)
async def test_a_game_killed_fifty_times_loses_nothing_and_does_nothing_twice(
    tmp_path: Path, rng: Random
) -> None:
    print(f"seed {SEED}")
    campaign = Campaign(tmp_path, rng, print)
    found = await campaign.run([rng.choice(KINDS) for _ in range(KILLS)])
    tally = campaign.tally
    cells = (
        tally.kills,
        f"{tally.seconds:.0f} s",
        f"{tally.commands:,} ({tally.sent:,})",
        f"{tally.carried_out:,}",
        f"{tally.processes:,}",
        f"{tally.events:,} ({tally.told:,})",
    )
    write_down("Kills", cells, found)
    assert not found, "\n".join([f"seed {SEED}, data in {tmp_path}", *found[:20]])
    assert campaign.tally.kills == KILLS
