"""What the executor owes to PostgreSQL alone: locks that others hold, and a database that goes away."""

import random
import string
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from sqlalchemy import Executable, event, select, text
from sqlalchemy.exc import OperationalError, ProgrammingError

from starwire import system
from starwire.batch import Command, Outcome
from starwire.clock import SystemClock, to_micros
from starwire.executor import Executor
from starwire.identity import Identity
from starwire.limits import Limits
from starwire.process import partition_of
from starwire.protocol import digest
from starwire.store.database import Database, read_facts
from starwire.store.dialect import DEFERRED
from starwire.store.pipeline import PipelinedConnection
from starwire.store.postgres import open_postgres
from tests.support import village

PARTITIONS = 16


@pytest.fixture
def postgresql(database: str) -> Iterator[Database]:
    opened = open_postgres(database, Limits(transaction_seconds=2), pipelined=True)
    with opened.write.begin() as connection:
        village.tables.create_all(connection)
    yield opened
    opened.close()


@pytest.fixture
def executor(postgresql: Database) -> Executor:
    with postgresql.write.begin() as connection:
        facts = read_facts(connection, partitions=PARTITIONS)
    registry = village.app.registry(system.module)
    return Executor(
        registry, postgresql, SystemClock(), Limits(), seed=facts.seed, partitions=PARTITIONS, sure=False
    )


def command(id: str, *, deadline: datetime | None = None, village: str = "a") -> Command:
    args = f'{{"village":"{village}","number":{id}}}'.encode()
    key = f"village:{village}"
    return Command(
        player="ann",
        id=id,
        name="tell",
        args=args,
        digest=digest("tell", args),
        key=key,
        partition=partition_of(key, PARTITIONS),
        identity=Identity("ann"),
        deadline=None if deadline is None else to_micros(deadline),
    )


def run(executor: Executor, *commands: Command) -> Outcome:
    return executor.run(commands, sorted({each.partition for each in commands}))


def told(postgresql: Database) -> list[int]:
    """What took effect, in order."""
    query = 'SELECT data FROM starwire_event ORDER BY stream, "offset"'
    with postgresql.read.begin() as connection:
        rows = connection.exec_driver_sql(query).all()
    return [int(bytes(data).decode().partition(":")[2].rstrip("}")) for (data,) in rows]


def test_a_deadline_that_passes_while_another_holds_the_partition_is_kept(
    executor: Executor, postgresql: Database, database: str
) -> None:
    """Somebody else may have told its sender by then that it can no longer happen."""
    outcomes: list[Outcome] = []
    with psycopg.connect(database) as holder:
        holder.execute("SELECT id FROM starwire_partition FOR UPDATE")
        soon = command("1", deadline=datetime.now(UTC) + timedelta(seconds=0.3))
        waiting = threading.Thread(target=lambda: outcomes.append(run(executor, soon)))
        waiting.start()
        holder.execute("SELECT pg_sleep(0.5)")
    waiting.join()
    assert b'"unavailable"' in outcomes[0].answers[0]
    assert told(postgresql) == []


def test_a_partition_that_is_held_is_said_to_be_so(executor: Executor, database: str) -> None:
    with psycopg.connect(database) as holder:
        holder.execute("SELECT id FROM starwire_partition WHERE id = 3 FOR UPDATE")
        assert executor.run_due([3]) is None
        assert executor.run_due([4]) is not None


def test_a_database_that_is_away_is_no_partition_that_is_held(
    executor: Executor, postgresql: Database
) -> None:
    """Else its task would come again every bucket for as long as the database is away."""
    with Away(postgresql, times=99):
        outcome = executor.run_due([3])
    assert outcome is not None
    assert outcome.failed


def test_when_the_database_was_away_for_a_moment_no_command_overtakes_another(
    executor: Executor, postgresql: Database
) -> None:
    with Away(postgresql, times=3):  # for the batch, for what is due, and for the first command alone
        outcome = run(executor, command("1"), command("2"), command("3"))
    assert (outcome.answers, outcome.left) == ({}, []), "the gateway asks for all of them again"
    again = run(executor, command("1"), command("2"), command("3"))
    assert sorted(again.answers) == [0, 1, 2]
    assert told(postgresql) == [1, 2, 3]


def test_what_no_index_can_hold_is_the_fault_of_its_own_command(
    executor: Executor, postgresql: Database
) -> None:
    """PostgreSQL's driver calls that an operational error, as if the server were in trouble."""
    long = "".join(random.Random(1).choices(string.ascii_letters, k=9000))
    outcome = run(executor, command("1"), command("2", village=long), command("3"))
    assert [b'"ok":true' in outcome.answers.get(index, b"") for index in range(3)] == [True, False, True]
    assert b'"internal"' in outcome.answers[1]
    assert told(postgresql) == [1, 3]


class Away:
    """So many transactions find that the database is away."""

    def __init__(self, database: Database, *, times: int) -> None:
        self._engine = database.write
        self._times = times

    def __enter__(self) -> None:
        event.listen(self._engine, "begin", self._refuse, insert=True)  # before BEGIN is sent

    def __exit__(self, *_: object) -> None:
        event.remove(self._engine, "begin", self._refuse)

    def _refuse(self, _: object) -> None:
        self._times -= 1
        if self._times >= 0:
            raise OperationalError("BEGIN", {}, psycopg.OperationalError("the server has gone"))


def test_a_batch_waits_for_the_database_as_often_however_many_commands_it_has(
    executor: Executor, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[str] = []
    wait = PipelinedConnection.settle

    def count(connection: PipelinedConnection) -> None:
        waits.append("settle")
        wait(connection)

    monkeypatch.setattr(PipelinedConnection, "settle", count)
    run(executor, command("1"))
    alone = len(waits)
    outcome = run(executor, *[command(str(number)) for number in range(2, 52)])
    assert len(outcome.answers) == 50
    assert alone == 4, "the partitions, stored replies, what is next, and the streams' heads"
    assert len(waits) == 2 * alone


def test_what_comes_after_a_statement_that_failed_is_no_worse_for_it(
    executor: Executor, postgresql: Database
) -> None:
    with pytest.raises(ProgrammingError):
        write(postgresql, BROKEN, BROKEN)
    with pytest.raises(ProgrammingError):
        write(postgresql, BROKEN, select(1))
    assert b'"ok":true' in run(executor, command("1")).answers[0]
    assert told(postgresql) == [1]


BROKEN = text("INSERT INTO nothing_of_this_name VALUES (1)").execution_options(**{DEFERRED: True})


def write(postgresql: Database, *statements: Executable) -> None:
    """Run statements in one transaction."""
    with postgresql.write.begin() as connection:
        for statement in statements:
            connection.execute(statement)
