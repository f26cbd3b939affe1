"""One batch in one transaction: plain data in, plain data out, on either engine.

``Executor.run`` takes commands and partitions. It locks the partitions, gives repeated commands their stored
replies, runs per key and merged by time what is due and then each command, and writes everything that came
of it set by set: one statement a table. If that fails, the items are run again one per transaction, so that
one item's fault is its own.

Guaranteed here: one reply and one effect (1), order per key (2), state change, effects and events together
(3), logical time (4), consecutive offsets (5), contained failures (8). Not decided here: who calls, how
often, and where the outcome goes; that is the engine's. Next hop: ``batch.py`` holds what is in flight.
"""

from __future__ import annotations

import traceback
from collections.abc import Sequence

import msgspec
import structlog
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError, OperationalError, PendingRollbackError

from starwire.app import Registry
from starwire.batch import Batch, Command, Outcome, StartOver
from starwire.clock import Clock
from starwire.errors import NotAllowed, Refused, Rejected
from starwire.lifecycle import lifecycle
from starwire.limits import Limits
from starwire.process import ProcessRow, State, require, retry_delay
from starwire.protocol import decode_args, encode, error_reply, ok_reply
from starwire.store.database import Database
from starwire.store.handler import HandlerConnection
from starwire.store.queries import Work
from starwire.transaction import Changes, Transaction

log = structlog.get_logger("starwire.executor")

CAREFUL_TRANSACTIONS = 32  # a failure each time then costs 3 % more, and one in a thousand nothing


class Executor:
    """Runs batches against one database. Not safe for two threads at once; make one for each."""

    def __init__(
        self,
        registry: Registry,
        database: Database,
        clock: Clock,
        limits: Limits,
        *,
        seed: str,
        partitions: int,
        sure: bool = True,
    ) -> None:
        self._registry = registry
        self._database = database
        self._clock = clock
        self._limits = limits
        self._seed = seed
        self._partitions = partitions
        self._sure = sure
        """Whether a commit that raised is known not to have happened; past one machine it is not."""
        self._held: dict[str, str] = {}
        self._opened = False
        """Whether the last transaction had its partitions, so that what failed was a statement of an item."""
        self._careful = 0
        """How many transactions are still to take savepoints."""

    def run_due(self, partitions: Sequence[int]) -> Outcome | None:
        """Run whatever of these partitions is due; None when somebody else holds one of them just now."""
        try:
            return self._transact([], partitions, self._limits.batch_due, wait=False)
        except Exception as error:
            if isinstance(error, OperationalError) and self._database.statements.dialect.is_held(error):
                return None
            log.warning("batch_failed", commands=0, exc_info=True)
        return self._one_by_one([], partitions)

    def run(self, commands: Sequence[Command], partitions: Sequence[int]) -> Outcome:
        """Run the commands, and whatever of these partitions is due, in one transaction.

        Every command gets an answer or is named in ``left``: the time of one transaction is bounded. When
        the transaction cannot be written, the commands are run again one by one.
        """
        try:
            return self._transact(commands, partitions, self._limits.batch_due)
        except Exception:
            log.warning("batch_failed", commands=len(commands), exc_info=True)
        return self._one_by_one(commands, partitions)

    def _one_by_one(self, commands: Sequence[Command], partitions: Sequence[int]) -> Outcome:
        """Run what is due, as far as there is time for it, and each command in a transaction of its own."""
        total = Outcome()
        deadline = self._clock.monotonic() + self._limits.batch_seconds
        for _ in range(self._limits.batch_due):
            due = self._alone(None, partitions)
            total.absorb(due, 0)
            if not due.items or self._clock.monotonic() > deadline:
                break
        for index, command in enumerate(commands):
            alone = self._alone(command, partitions)
            total.absorb(alone, index)
            if alone.failed and not alone.answers:
                break  # whoever asks for it again asks for those after it too: none may overtake it
        return total

    def _alone(self, command: Command | None, partitions: Sequence[int]) -> Outcome:
        """One command with what is due of its key, or without one the first that is due anywhere."""
        try:
            if command is None:
                return self._transact([], partitions, 1)
            return self._transact([command], partitions, 0)
        except Exception as error:
            if self._is_nobodys(error):
                log.exception("database_refuses")
                return self._unwritten(command)
            log.exception("not_written", command=None if command is None else command.name)
            return self._blame(command, partitions, error)

    def _is_nobodys(self, error: Exception) -> bool:
        """Whether the database is away, or full, or held: no item's fault."""
        if isinstance(error, PendingRollbackError):
            return True
        if not isinstance(error, OperationalError):
            return False
        return not (self._opened and self._database.statements.dialect.is_of_statement(error))

    def _unwritten(self, command: Command | None) -> Outcome:
        outcome = Outcome(now=self._clock.now(), failed=True)
        if command is not None and self._sure:
            refusal = Refused("unavailable", "The database refused.")
            outcome.answers[0] = error_reply(command.id, command.name, refusal)
        return outcome

    def _blame(self, command: Command | None, partitions: Sequence[int], error: Exception) -> Outcome:
        """Count the failure of an item that cannot be written even alone, so that it ends some day.

        When this cannot be written either, the fault is the database's, and nothing is counted.
        """
        answers: dict[int, bytes] = {}
        try:
            with self._database.write.begin() as connection:
                batch = self._open(connection, partitions, wait=True)
                if command is None:
                    rows = batch.work.due(partitions, batch.real_now, 1, self._held)
                else:
                    rows = batch.work.due_of_key(command.key, batch.real_now, 1)
                if not rows and command is not None:
                    answers[0] = self._internal(command)
                    batch.keep_reply(command, answers[0])
                if rows:
                    self._failed(batch, rows[0], error)
                if rows and command is not None:
                    refusal = Refused("unavailable", "What is due before it could not be written.")
                    answers[0] = error_reply(command.id, command.name, refusal)
                return self._close(batch, partitions, answers, [])
        except Exception:
            log.exception("database_refuses")
            return self._unwritten(command)

    def _transact(
        self, commands: Sequence[Command], partitions: Sequence[int], due_limit: int, *, wait: bool = True
    ) -> Outcome:
        """One transaction, first without savepoints and without waiting for what handlers insert.

        When an item fails after it has written, or one of its statements fails that nobody waited for,
        everything is undone and run again with both, and so are the next transactions, in case that such
        failures are this app's habit.
        """
        self._careful -= 1
        if self._careful < 0:
            try:
                return self._try(commands, partitions, due_limit, wait=wait, careful=False)
            except StartOver:
                self._careful = CAREFUL_TRANSACTIONS
            except DBAPIError as error:
                if self._is_nobodys(error):
                    raise
                self._careful = CAREFUL_TRANSACTIONS
        return self._try(commands, partitions, due_limit, wait=wait, careful=True)

    def _try(
        self, commands: Sequence[Command], partitions: Sequence[int], due: int, *, wait: bool, careful: bool
    ) -> Outcome:
        started = self._clock.monotonic()
        with self._database.write.begin() as connection:
            self._opened = False
            batch = self._open(connection, partitions, wait=wait)
            self._opened = True
            batch.careful = careful
            answers = batch.stored_replies(commands)
            batch.next = batch.work.next_due(partitions, self._held)
            batch.is_quiet = batch.next is None or batch.next[0] > batch.real_now
            rows = [] if batch.is_quiet else batch.work.due(partitions, batch.real_now, due, self._held)
            batch.read(rows, due)
            # Half of the time at most goes to what is due, so that neither it nor commands wait for ever.
            self._run_in_order(batch, [row.key for row in rows], started + self._limits.batch_seconds / 2)
            deadline = started + self._limits.batch_seconds
            left = self._run_commands(batch, commands, answers, deadline)
            self._run_in_order(batch, list(batch.due), deadline)
            executed = self._clock.monotonic()
            outcome = self._close(batch, partitions, answers, left)
        outcome.began, outcome.executed, outcome.committed = started, executed, self._clock.monotonic()
        return outcome

    def _close(
        self, batch: Batch, partitions: Sequence[int], answers: dict[int, bytes], left: list[int]
    ) -> Outcome:
        outcome = batch.flush(answers, left)
        outcome.next_due = batch.soonest(partitions, self._held)
        late = 0 if outcome.next_due is None else batch.real_now - outcome.next_due
        outcome.lateness = max(0.0, late / 1e6)
        return outcome

    def _run_in_order(self, batch: Batch, keys: Sequence[str], deadline: float) -> None:
        """Run one due process of each named key, and then what is left of each, as far as time allows."""
        for key in keys:
            if self._clock.monotonic() > deadline and batch.items:
                return
            self._run_due(batch, key, limit=1)
        for key in list(batch.due):
            while batch.due.get(key):
                if self._clock.monotonic() > deadline and batch.items:
                    return
                self._run_due(batch, key, limit=1)

    def _run_commands(
        self, batch: Batch, commands: Sequence[Command], answers: dict[int, bytes], deadline: float
    ) -> list[int]:
        """Answer the commands in order, as far as time allows; the indexes of those that are left."""
        left: list[int] = []
        repeated = {index for index, _, _ in batch.repeats}
        for index, command in enumerate(commands):
            if index in answers or index in repeated:
                continue  # the flush answers a repeat as it did the first
            if left or (index and self._clock.monotonic() > deadline):
                left.append(index)
            else:
                answers[index] = self._answer(batch, command)
        return left

    def _open(self, connection: Connection, partitions: Sequence[int], *, wait: bool) -> Batch:
        work = Work(connection, self._database.statements)
        rows = work.take_partitions(partitions, wait=wait)
        now = max(*(row.clock if row.now is None else max(row.now, row.clock) for row in rows), 0)
        if rows[0].now is None:
            now = max(now, self._clock.now())
        return Batch(self._registry, work, rows, now, self._partitions, limits=self._limits)

    def _answer(self, batch: Batch, command: Command) -> bytes:
        if command.deadline is not None and batch.real_now > command.deadline:
            refusal = Refused("unavailable", "It came too late to a worker, and did not happen.")
            return error_reply(command.id, command.name, refusal)
        if command.key in self._held:
            return self._unknown_kind(command)
        if not batch.is_read(command.key):
            limit = self._limits.key_due + 1
            rows = batch.work.due_of_key(command.key, batch.real_now, limit)
            batch.read(rows, limit, key=command.key)
        self._run_due(batch, command.key, limit=self._limits.key_due)
        if command.key in self._held:
            return self._unknown_kind(command)
        if batch.due.get(command.key) or not batch.is_read(command.key):
            seconds = self._limits.overloaded_seconds
            refusal = Refused("overloaded", "Work that is due here is catching up.", retry_after=seconds)
            return error_reply(command.id, command.name, refusal)
        return self._run_command(batch, command)

    def _unknown_kind(self, command: Command) -> bytes:
        kind = self._held[command.key]
        sentence = f"A process of kind {kind!r} is due here, which this server does not know."
        return error_reply(command.id, command.name, Refused("unavailable", sentence))

    def _run_command(self, batch: Batch, command: Command) -> bytes:
        kind = self._registry.commands[command.name]
        batch.items += 1
        now = batch.time_of(command.key, batch.real_now)
        db = self._handler_connection(batch)
        tx = Transaction(
            batch,
            db,
            key=command.key,
            now=now,
            seed=f"{self._seed}:{command.key}:{now}:{command.player}:{command.id}",
            identity=command.identity,
            current=None,
        )
        try:
            order = decode_args(kind.decoder, command.args)
            result = encode(kind.handler(tx, command.player, order))
            if len(result) > self._limits.result_bytes:
                raise NotAllowed(f"the result has {len(result)} bytes, over {self._limits.result_bytes}")
        except (Rejected, Refused) as refusal:
            batch.undo(refusal)
            reply = self._refusal(command, refusal)
        except (Exception, SystemExit) as error:
            batch.undo(error)
            log.exception("handler_failed", command=command.name, player=command.player, id=command.id)
            reply = self._internal(command)
        else:
            self._keep(batch, tx.changes)
            reply = ok_reply(command.id, command.name, result)
        batch.keep_reply(command, reply)
        return reply

    def _handler_connection(self, batch: Batch) -> HandlerConnection:
        reads = self._database.statements.dialect.savepoint_for_reads
        return HandlerConnection(
            batch.work.connection,
            batch.writing,
            before_read=batch.reading if reads else None,
            deferring=not batch.careful,
        )

    def _refusal(self, command: Command, refusal: Rejected | Refused) -> bytes:
        try:
            return error_reply(command.id, command.name, refusal)
        except Exception:
            log.exception("refusal_not_encoded", command=command.name, player=command.player, id=command.id)
            return self._internal(command)

    def _internal(self, command: Command) -> bytes:
        failure = Refused("internal", "The command failed on the server.")
        return error_reply(command.id, command.name, failure)

    def _run_due(self, batch: Batch, key: str, *, limit: int) -> None:
        """Run what is due of a key, in order, at most ``limit`` of it."""
        for _ in range(limit):
            row = batch.next_due(key)
            if row is None:
                return
            if not self._registry.knows(row.kind, row.version):
                self._held[key] = row.kind
                batch.due.pop(key, None)
                log.error("unknown_process_kind", kind=row.kind, version=row.version, process=row.id, key=key)
                return
            self._run_process(batch, row)

    def _run_process(self, batch: Batch, row: ProcessRow) -> None:
        kind = self._registry.processes[row.kind]
        batch.items += 1
        due = row.due_at if row.state is State.PENDING else batch.real_now
        now = batch.time_of(row.key, due)
        tx: Transaction | None = None
        try:
            data = kind.decode(row.data, row.version)
            tx = Transaction(
                batch,
                self._handler_connection(batch),
                key=row.key,
                now=now,
                seed=f"{self._seed}:{row.key}:{now}:{row.id}:{row.attempt}",
                identity=None,
                current=row,
                data=data,
            )
            kind.handler(tx, data)
        except Rejected as refusal:
            batch.undo(refusal)
            self._finish(batch, row, State.FAILED, now, str(refusal))
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever it raises, it is retried
            batch.undo(error)
            self._failed(batch, row, error)
        else:
            self._keep(batch, tx.changes)
            self._finish(batch, row, State.COMPLETED, now, None)

    def _failed(self, batch: Batch, row: ProcessRow, error: BaseException) -> None:
        attempt = row.attempt + 1
        log.error(
            "process_raised", kind=row.kind, process=row.id, key=row.key, attempt=attempt, exc_info=error
        )
        row = msgspec.structs.replace(row, attempt=attempt)
        if attempt >= self._limits.attempts:
            text = "".join(traceback.format_exception(error)).encode(errors="backslashreplace").decode()
            self._finish(batch, row, State.FAILED, batch.real_now, text)
            return
        seconds = retry_delay(
            attempt,
            batch.jitter(row.id, attempt),
            base=self._limits.retry_base_seconds,
            cap=self._limits.retry_cap_seconds,
        )
        state = require(row.state, State.RETRYING)
        run_at = batch.real_now + int(seconds * 1e6)
        batch.processes[row.id] = msgspec.structs.replace(row, state=state, run_at=run_at)

    def _finish(self, batch: Batch, row: ProcessRow, state: State, now: int, error: str | None) -> None:
        row = msgspec.structs.replace(row, state=require(row.state, state))
        batch.processes[row.id] = row
        batch.finished[row.id] = (now, error)
        batch.publications += lifecycle(row, f"process_{state}", now)

    def _keep(self, batch: Batch, changes: Changes) -> None:
        batch.release()
        for row in changes.processes.values():
            batch.change(row)
        batch.publications += changes.publications
        batch.grants.update(changes.grants)
