"""kill -9 is an ordinary event: a game that is killed at bad moments loses nothing and does nothing twice."""

from pathlib import Path
from random import Random

import pytest

from tests.chaos.campaign import Campaign, Kind
from tests.conftest import SEED

pytestmark = pytest.mark.crash

FIVE: list[Kind] = ["sent", "due", "starting", "listening", "heard"]
"""One of each kind whose moment is the hardest; `make soak` draws fifty from all."""


@pytest.mark.timeout(150)
async def test_a_game_killed_five_times_loses_nothing_and_does_nothing_twice(
    tmp_path: Path, rng: Random
) -> None:
    print(f"seed {SEED}")
    campaign = Campaign(tmp_path, rng, print)
    found = await campaign.run(rng.sample(FIVE, len(FIVE)))
    print(campaign.tally)
    assert not found, "\n".join([f"seed {SEED}, data in {tmp_path}", *found[:20]])
    assert campaign.tally.kills == len(FIVE)
    assert campaign.tally.carried_out > 20, "too little happened to prove anything"
