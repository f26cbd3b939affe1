"""An item that fails after it has written undoes itself and nothing else, with and without savepoints."""

import os
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import pytest
from sqlalchemy import Column, Integer, MetaData, String, Table, event, insert, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError

import starwire
from starwire import system
from starwire.batch import Command
from starwire.clock import ManualClock
from starwire.executor import CAREFUL_TRANSACTIONS, Executor
from starwire.identity import Identity
from starwire.limits import Limits
from starwire.process import partition_of
from starwire.protocol import digest, encode
from starwire.store.database import Database, open_sqlite, read_facts
from starwire.store.pipeline import PipelinedConnection
from starwire.store.postgres import open_postgres
from starwire.store.tables import metadata

PARTITIONS = 4
LATE_SECONDS = 0.02


class Keep(starwire.Command, frozen=True):
    """Write a line, and then perhaps fail."""

    line: str
    fail: str = ""


class Bench:
    """An executor on a database of its own, and the statements that it sends."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.statements: list[str] = []
        self.answers: dict[int, bytes] = {}
        self.tables = MetaData()
        self.lines = Table(
            "lines", self.tables, Column("id", Integer, primary_key=True), Column("line", String)
        )
        with database.write.begin() as connection:
            metadata.create_all(connection)
            self.tables.create_all(connection)
            facts = read_facts(connection, partitions=PARTITIONS)
        self.executor = Executor(
            self._app().registry(system.module),
            database,
            ManualClock(),
            Limits(batch_seconds=30),
            seed=facts.seed,
            partitions=PARTITIONS,
        )
        event.listen(database.write, "before_cursor_execute", self._note)

    def _note(self, *arguments: object) -> None:
        self.statements.append(str(arguments[2]))

    def answer_late(self, statement: str) -> None:
        """Have PostgreSQL answer such statements only after a moment, as one that is far away does."""
        with self.database.write.begin() as connection:
            pid = connection.scalar(text("SELECT pg_backend_pid()"))

        def freeze(*arguments: object) -> None:
            if arguments[2] == statement:
                os.kill(pid, signal.SIGSTOP)
                threading.Timer(LATE_SECONDS, os.kill, (pid, signal.SIGCONT)).start()

        event.listen(self.database.write, "before_cursor_execute", freeze)

    def _app(self) -> starwire.App:
        app = starwire.App("lines", tables=self.tables)
        database_insert = self.database.statements.dialect.insert

        @app.command
        def keep(tx: starwire.Transaction, player: str, order: Keep) -> int:
            if order.fail == "looks":
                tx.db.scalar(select(self.lines.c.id))
                raise starwire.Rejected("no", "It has looked, and refuses.")
            if order.fail == "blindly":
                tx.db.execute(insert(self.lines).inline(), {"line": order.line})
                return 1
            tx.db.execute(insert(self.lines).values(line=order.line))
            tx.publish("all", Kept(order.line))
            if order.fail == "refuses":
                raise starwire.Rejected("no", "It has written, and refuses.")
            if order.fail == "raises":
                raise RuntimeError("it has written")
            if order.fail == "breaks":
                tx.db.execute(insert(self.lines).values(id=-1))
                tx.db.execute(insert(self.lines).values(id=-1))
            if order.fail == "catches":
                try:
                    tx.db.execute(insert(self.lines).values(id=-1))
                    tx.db.execute(insert(self.lines).values(id=-1))
                except IntegrityError:
                    raise starwire.Rejected("taken", "There is one already.") from None
            if order.fail == "swallows":
                with suppress(DBAPIError):
                    tx.db.execute(text("SELECT no_such_column"))
            if order.fail == "asks":
                once = database_insert(self.lines).on_conflict_do_nothing()
                once = once.execution_options(preserve_rowcount=True)
                return [tx.db.execute(once, {"id": -1}).rowcount for _ in range(2)].count(1)
            return len(order.line)

        return app

    def run(self, orders: Sequence[Keep]) -> tuple[list[bool], list[str]]:
        """Run them in one batch: which were answered ok, and the lines of the events, in order."""
        self.statements.clear()
        commands = [self._command(order) for order in orders]
        outcome = self.executor.run(commands, sorted({each.partition for each in commands}))
        assert outcome.left == []
        self.answers = outcome.answers
        oks = [b'"ok":true' in outcome.answers[index] for index in range(len(commands))]
        return oks, [each.frame.decode().split('"line":"')[1][0] for each in outcome.events]

    def _command(self, order: Keep) -> Command:
        args, player = encode(order), order.line
        key = order.key(player)
        return Command(
            player=player,
            id=None,
            name="keep",
            args=args,
            digest=digest("keep", args),
            key=key,
            partition=partition_of(key, PARTITIONS),
            identity=Identity(player),
        )

    def kept(self) -> list[str]:
        """The lines in the table."""
        with self.database.read.begin() as connection:
            return sorted(connection.scalars(select(self.lines.c.line)))

    def savepoints(self) -> int:
        """How many were taken in the last batch."""
        return sum(each.startswith("SAVEPOINT") for each in self.statements)


class Kept(starwire.Event, frozen=True):
    """A line was written."""

    line: str


@pytest.fixture(params=["sqlite", "postgresql"])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    if request.param == "sqlite":
        database = open_sqlite(tmp_path / "lines.db", durable=False)
    else:
        database = open_postgres(request.getfixturevalue("database"), Limits(), pipelined=True)
    yield Bench(database)
    database.close()


def test_items_that_succeed_take_no_savepoints(bench: Bench) -> None:
    assert bench.run([Keep("a"), Keep("b")]) == ([True, True], ["a", "b"])
    assert bench.kept() == ["a", "b"]
    assert bench.savepoints() == 0


@pytest.mark.parametrize("fail", ["refuses", "raises", "breaks", "catches"])
def test_an_item_that_fails_after_writing_undoes_itself_alone(bench: Bench, fail: str) -> None:
    assert bench.run([Keep("a"), Keep("b", fail), Keep("c")]) == ([True, False, True], ["a", "c"])
    assert bench.kept() == ["a", "c"]
    assert bench.savepoints() == 3


def test_a_handler_catches_what_its_own_insert_raises_though_nobody_waited_for_it(bench: Bench) -> None:
    bench.run([Keep("a"), Keep("b", "catches"), Keep("c")])
    assert b'"reason":"taken"' in bench.answers[1]


@pytest.mark.parametrize("following", ["", "refuses", "raises", "breaks"])
def test_what_an_item_hides_from_us_neither_undoes_it_silently_nor_harms_another(
    bench: Bench, following: str
) -> None:
    """PostgreSQL ends a transaction in which a statement has failed, whoever has caught that."""
    if bench.database.statements.dialect.name == "postgresql":
        bench.answer_late("RELEASE SAVEPOINT item")
    oks, told = bench.run([Keep("a"), Keep("b", "swallows"), Keep("c", following), Keep("d")])
    assert (oks[0], oks[2], oks[3]) == (True, not following, True)
    done = [line for line, ok in zip("abcd", oks, strict=True) if ok]
    assert (bench.kept(), told) == (done, done)


@pytest.mark.parametrize("bench", ["postgresql"], indirect=True)
def test_nobody_waits_for_what_handlers_only_insert(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[int] = []
    settle = PipelinedConnection.settle

    def count(connection: PipelinedConnection) -> None:
        waits.append(1)
        settle(connection)

    monkeypatch.setattr(PipelinedConnection, "settle", count)
    bench.run([Keep("a", "blindly")])
    alone = len(waits)
    bench.run([Keep(line, "blindly") for line in "bcdefghij"])
    assert bench.kept() == list("abcdefghij")
    assert len(waits) == 2 * alone


def test_how_many_rows_an_insert_has_skipped_is_known_at_once(bench: Bench) -> None:
    assert bench.run([Keep("a", "asks")]) == ([True], ["a"])
    assert b'"result":1}' in bench.answers[0]
    assert bench.savepoints() == 0


def test_a_refusal_after_reading_costs_no_second_run(bench: Bench) -> None:
    assert bench.run([Keep("a"), Keep("b", "looks"), Keep("c")]) == ([True, False, True], ["a", "c"])
    assert bench.kept() == ["a", "c"]
    assert bench.savepoints() == 0


def test_after_a_failure_savepoints_are_taken_for_a_while(bench: Bench) -> None:
    bench.run([Keep("a", "raises")])
    for _ in range(CAREFUL_TRANSACTIONS):
        bench.run([Keep("b", "raises")])
        assert bench.savepoints() == 1, "it ran twice, or without a savepoint"
    bench.run([Keep("c")])
    assert bench.savepoints() == 0
    assert bench.kept() == ["c"]
