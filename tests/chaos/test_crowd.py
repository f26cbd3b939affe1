"""Each acknowledged command once, each stream whole, for everybody in a crowd with bad luck."""

from pathlib import Path
from random import Random

import pytest

from tests.chaos.crowd import Alone, Crowd, Several, Site, Size, Tally
from tests.chaos.page import write_down
from tests.conftest import SEED

pytestmark = pytest.mark.crash

SAMPLE = Size(clients=40, shipped=5, slow=4, slow_seconds=0.5, seconds=2.0, pause=0.2, faults=2)
FULL = Size(clients=500, shipped=50, slow=10, slow_seconds=12.0, seconds=120.0, pause=1.5, faults=12)


@pytest.mark.timeout(120)
async def test_in_a_small_crowd_every_command_happens_once_and_everybody_hears_everything(
    tmp_path: Path, rng: Random
) -> None:
    print(f"seed {SEED}")
    crowd = Crowd(Alone(tmp_path), SAMPLE, rng, print)
    found = await crowd.run()
    print(crowd.tally)
    assert not found, "\n".join([f"seed {SEED}, data in {tmp_path}", *found[:20]])
    assert crowd.tally.carried_out > SAMPLE.clients * 3, "too little happened to prove anything"


@pytest.mark.soak
@pytest.mark.timeout(1200)
async def test_in_a_crowd_of_five_hundred_every_command_happens_once_and_everybody_hears_everything(
    tmp_path: Path, rng: Random
) -> None:
    await play_in_full("embedded", Alone(tmp_path), rng)


@pytest.mark.soak
@pytest.mark.timeout(1200)
async def test_the_same_crowd_at_two_gateways_that_die_in_turn(
    tmp_path: Path, rng: Random, database: str
) -> None:
    await play_in_full("distributed", Several(tmp_path, database), rng)


async def play_in_full(engine: str, site: Site, rng: Random) -> None:
    """Five hundred for two minutes; written down whatever comes of it."""
    print(f"seed {SEED}")
    crowd = Crowd(site, FULL, rng, print)
    found = ["it broke off"]
    try:
        found = await crowd.run()
    finally:
        print(crowd.tally)
        write_down("Crowds", cells(engine, crowd.tally), found)
    assert not found, "\n".join([f"seed {SEED}", *found[:20]])
    assert crowd.tally.carried_out > FULL.clients * 20, "too little happened to prove anything"
    assert crowd.tally.stalled > 0, "nobody read so slowly that it mattered"


def cells(engine: str, tally: Tally) -> tuple[object, ...]:
    luck = ", ".join(f"{count:,} {what}" for what, count in sorted(tally.troubles.items()))
    return (
        engine,
        tally.clients,
        f"{tally.seconds:.0f} s",
        ", ".join(f"{count} {what}" for what, count in sorted(tally.faults.items())),
        f"{luck} ({tally.stalled} stalled)",
        f"{tally.commands:,} ({tally.sent:,})",
        f"{tally.carried_out:,}",
        f"{tally.events:,} ({tally.told:,})",
    )
