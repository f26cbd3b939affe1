"""The test kit's own tests: time moves when it is told to, exactly, and whatever happens can be repeated."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from starwire import Limits, NotAllowed, Transaction
from starwire.store import tables
from starwire.testing import CommandFailed, World
from tests.contract import garden

HOUR = timedelta(hours=1)
START = datetime(2030, 1, 1, tzinfo=UTC)


def notes(world: World) -> list[tuple[str, str]]:
    with world.database.read.begin() as connection:
        return [(row.text, row.at) for row in connection.execute(garden.notes.select())]


def hours(*numbers: float) -> list[str]:
    return [(START + timedelta(hours=number)).isoformat() for number in numbers]


def test_what_falls_due_runs_at_its_moment_and_in_order() -> None:
    with World(garden.build()) as world:
        ann = world.connect("ann")
        for text, due in (("late", 3), ("early", 1), ("middle", 2)):
            ann.command("plant", text=text, seconds=due * 3600)
        world.advance(hours=2.5)
        assert notes(world) == list(zip(["early", "middle"], hours(1, 2), strict=True))
        assert world.now == START + timedelta(hours=2.5)
        assert [push.data["text"] for push in ann.received("ripe")] == ["early", "middle"]
        assert [push.at for push in ann.received("ripe")] == [START + HOUR, START + 2 * HOUR]
        world.advance(hours=0.5)
        assert len(notes(world)) == 3, "due at the very moment to which time has moved"


def test_a_moment_before_it_is_due_nothing_happens() -> None:
    with World(garden.build()) as world:
        ann = world.connect("ann")
        ann.command("plant", text="tree", seconds=60)
        world.advance(timedelta(seconds=60) - timedelta(microseconds=1))
        assert notes(world) == []
        world.advance(microseconds=1)
        assert len(notes(world)) == 1


def test_a_chain_of_three_one_hour_builds_ends_at_the_right_times() -> None:
    with World(garden.build()) as world:
        world.connect("ann").command("plant", text="mine", seconds=3600, then=[3600, 3600])
        world.advance(hours=25)
        assert notes(world) == list(zip(["mine", "mine+", "mine++"], hours(1, 2, 3), strict=True))


def test_after_an_outage_the_chain_has_ended_at_the_same_times() -> None:
    with World(garden.build()) as world:
        ann = world.connect("ann")
        ann.command("plant", text="mine", seconds=3600, then=[3600, 3600])
        world.sleep(hours=25)
        assert notes(world) == list(zip(["mine", "mine+", "mine++"], hours(1, 2, 3), strict=True))
        assert world.now == START + 25 * HOUR
        ann.hello(resume=ann.offsets)
        assert [push.at for push in ann.received("ripe")] == [START + n * HOUR for n in (1, 2, 3)]
        assert [push.offset for push in ann.pushes] == list(range(1, len(ann.pushes) + 1))


def test_after_an_outage_two_chains_of_one_key_are_woven_by_their_times() -> None:
    with World(garden.build()) as world:
        ann = world.connect("ann")
        ann.command("plant", text="a", seconds=3600, then=[3600, 3600])
        ann.command("plant", text="b", seconds=5400, then=[3600])
        world.sleep(hours=25)
        assert [text for text, _ in notes(world)] == ["a", "b", "a+", "b+", "a++"]
        assert [at for _, at in notes(world)] == hours(1, 1.5, 2, 2.5, 3)


def test_another_try_happens_at_real_time() -> None:
    with World(garden.build()) as world:
        world.connect("ann").command("plant", text="tree", seconds=3600, fail=1)
        world.sleep(hours=5)
        assert notes(world) == []
        world.advance(seconds=2)
        ((_, at),) = notes(world)
        assert START + 5 * HOUR < datetime.fromisoformat(at) <= START + 5 * HOUR + timedelta(seconds=1)


def test_what_is_sent_to_another_key_is_due_no_earlier_than_the_real_time() -> None:
    """After an outage, a process of the past that sends to another key cannot send into that key's past."""
    with World(sending()) as world:
        ann = world.connect("ann")
        ann.command("plant", text="sender", seconds=3600)
        world.sleep(hours=5)
        world.advance(seconds=1)
        assert dict(notes(world)) == {"sender": hours(1)[0], "sent": hours(5)[0]}


def sending() -> Any:
    """The garden, where what ripens in one bed sends something to another at once."""
    app = garden.build(without=frozenset({"ripen"}))

    @app.process
    def ripen(tx: Transaction, job: garden.Ripen) -> None:
        garden.write(tx, job.bed, job.text)
        if job.text == "sender":
            tx.start(garden.Ripen("sent", "other"), key="bed:other", due=timedelta(0))

    return app


def test_time_of_a_key_never_goes_back() -> None:
    """A process rescheduled into the past runs at once, but not before what its key has seen already."""
    with World(garden.build()) as world:
        ann = world.connect("ann")
        id = ann.command("plant", text="tree", seconds=3600)["process"]
        world.advance(minutes=30)
        ann.command("note", text="half past")
        ann.command("dig", process=id, action="reschedule", seconds=-1200)
        world.advance(seconds=1)
        at = [at for _, at in notes(world)]
        assert [text for text, _ in notes(world)] == ["half past", "tree"]
        assert at == sorted(at)


def test_a_command_that_fails_raises_with_its_error() -> None:
    with World(garden.build()) as world:
        ann = world.connect("ann")
        with pytest.raises(CommandFailed, match="spoil: rejected: It is spoilt") as failed:
            ann.command("spoil", how="reject")
        error = failed.value.error
        assert (error.code, error.reason, error.details) == ("rejected", "spoilt", {"need": 1})
        with pytest.raises(CommandFailed, match="internal"):
            ann.command("spoil", how="raise")
        with pytest.raises(CommandFailed, match="unknown_command"):
            ann.command("nothing_like_it")


def test_an_id_that_is_given_is_sent() -> None:
    with World(garden.build()) as world:
        ann = world.connect("ann")
        assert ann.command("note", id="k1", text="once") == ann.command("note", id="k1", text="once")
        assert len(notes(world)) == 1


def test_received_gives_what_has_come_so_far() -> None:
    with World(garden.build()) as world:
        ann, bob = world.connect("ann"), world.connect("bob")
        ann.command("note", text="mine")
        assert [push.data for push in ann.received("noted")] == [{"text": "mine"}]
        assert bob.received() == []
        ann.command("share", player="bob", stream="universe:1")
        ann.command("shout", stream="universe:1", count=2)
        assert [push.offset for push in bob.received("shouted")] == [1, 2]


def test_a_player_who_went_away_hears_nothing_until_it_says_hello() -> None:
    with World(garden.build()) as world:
        ann = world.connect("ann")
        ann.command("plant", text="tree", seconds=60)
        ann.disconnect()
        world.advance(minutes=2)
        assert ann.received("ripe") == []
        with pytest.raises(RuntimeError, match="ann is not connected"):
            ann.command("note", text="x")
        ann.hello(resume=ann.offsets)
        assert len(ann.received("ripe")) == 1


def test_the_same_seed_gives_the_same_randomness() -> None:
    def play(seed: int) -> list[int]:
        app = garden.build(without=frozenset({"ripen"}))
        seen: list[int] = []

        @app.process
        def ripen(tx: Transaction, job: garden.Ripen) -> None:
            seen.append(tx.random.randrange(10**9))

        with World(app, seed=seed) as world:
            ann = world.connect("ann")
            for number in range(5):
                ann.command("plant", text="x", seconds=number)
            world.advance(minutes=1)
        return seen

    first = play(1)
    assert len(set(first)) == 5
    assert play(1) == first
    assert play(2) != first


def test_a_failing_test_names_the_seed_that_repeats_it() -> None:
    def failing() -> None:
        with World(garden.build(), seed=4711):
            raise LookupError("the test failed")

    with pytest.raises(LookupError) as failed:
        failing()
    assert any("4711" in note for note in failed.value.__notes__)


def test_the_clock_of_a_world_moves_only_by_hand() -> None:
    with World(garden.build(), start=datetime(2040, 5, 1, tzinfo=UTC)) as world:
        assert world.now == datetime(2040, 5, 1, tzinfo=UTC)
        world.connect("ann").command("note", text="x")
        assert world.now == datetime(2040, 5, 1, tzinfo=UTC)


def test_bounds_can_be_set_for_a_world() -> None:
    with World(garden.build(), limits=Limits(commands_burst=3)) as world:
        ann = world.connect("ann")
        ann.command("ping")
        ann.command("ping")
        with pytest.raises(CommandFailed, match="rate_limited"):
            ann.command("ping")


def test_deadlines_are_kept_as_time_moves() -> None:
    with World(garden.build()) as world:
        ann = world.connect("ann")
        world.advance(days=3)
        assert ann.closed is None, "the kit answers pings"
        ann.command("ping")


def test_a_process_has_a_handler_and_a_command_has_no_process() -> None:
    app = garden.build()
    seen: list[Exception] = []

    class Ask(garden.InBed, frozen=True): ...

    class Orphan(garden.Ripen, frozen=True): ...

    @app.command
    def ask(tx: Transaction, player: str, order: Ask) -> None:
        for attempt in (lambda: tx.process, lambda: tx.start(Orphan("x", "b"), due=HOUR)):
            try:
                attempt()
            except NotAllowed as error:
                seen.append(error)

    with World(app) as world:
        world.connect("ann").command("ask")
        assert ["tx.process" in str(seen[0]), "Orphan has no handler" in str(seen[1])] == [True, True]
        with world.database.read.begin() as connection:
            assert connection.execute(tables.process.select()).all() == []
