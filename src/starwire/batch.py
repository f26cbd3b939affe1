"""What is in flight in one transaction of the executor, and how it is written at its end.

A ``Batch`` is an overlay on the tables: what this transaction has changed, before what is stored. ``flush``
writes it set by set: processes, stream heads in order of their names, events, grants, replies, clocks.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Collection, Sequence

import msgspec

from starwire.app import Registry
from starwire.clock import isoformat
from starwire.errors import Refused, Rejected
from starwire.identity import Identity
from starwire.lifecycle import Publication
from starwire.limits import Limits
from starwire.process import DUE, FINISHED, ProcessRow, partition_of
from starwire.protocol import encode, error_reply, push_frame
from starwire.store.queries import EventRow, PartitionRow, StoredReply, Work

BEFORE_ALL = (-(2**63), 0)  # earlier than any (run_at, id)


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """A command on its way to the executor; the gateway has checked its form and computed its key."""

    player: str
    id: str | None
    name: str
    args: bytes
    digest: bytes
    key: str
    partition: int
    identity: Identity
    claim: str | None = None
    """Under what the reply is stored: the id, or a name of the engine's own for a command without one."""
    deadline: int | None = None
    """In the database's time: a command that is found later is dropped."""

    @property
    def stored_as(self) -> str | None:
        """Under what the reply is stored; None: it is not."""
        return self.claim or self.id


class Event(msgspec.Struct, frozen=True):
    """A committed event, encoded as the push that everyone gets."""

    stream: str
    offset: int
    event: str
    frame: bytes


class Outcome(msgspec.Struct):
    """What came of a batch. ``answers`` are reply frames by the command's index; ``left`` were not run."""

    answers: dict[int, bytes] = {}
    left: list[int] = []
    events: list[Event] = []
    next_due: int | None = None
    now: int = 0
    lateness: float = 0.0
    items: int = 0
    failed: bool = False
    began: float = 0.0
    executed: float = 0.0
    committed: float = 0.0
    """When the transaction began, when its items had run, and when it was durable: monotonic seconds."""
    soon: list[tuple[int, int]] = []
    """(partition, time) of processes that this batch has left to run."""

    def absorb(self, other: Outcome, index: int) -> None:
        """Add the outcome of a lone command that was at ``index``."""
        self.answers.update((index, answer) for answer in other.answers.values())
        self.left += [index for _ in other.left]
        self.events += other.events
        self.next_due = other.next_due
        self.now = max(self.now, other.now)
        self.lateness = other.lateness
        self.items += other.items
        self.soon += other.soon
        self.failed = self.failed or other.failed
        self.began, self.executed, self.committed = other.began, other.executed, other.committed


class StartOver(Exception):
    """An item failed after it had used the database, and there is no savepoint to go back to."""


class Batch:
    """One transaction's overlay. Implements ``transaction.Scope`` for the handlers in it."""

    def __init__(
        self,
        registry: Registry,
        work: Work,
        rows: Sequence[PartitionRow],
        now: int,
        partitions: int,
        *,
        limits: Limits,
    ) -> None:
        self.registry = registry
        self.work = work
        self.real_now = now
        self.partitions = partitions
        self.subscriptions = limits.subscriptions
        self.event_bytes = limits.event_bytes
        self.items = 0
        self.due: dict[str, list[tuple[int, int]]] = {}
        self.processes: dict[int, ProcessRow] = {}
        self.finished: dict[int, tuple[int, str | None]] = {}
        self.publications: list[Publication] = []
        self.grants: dict[tuple[str, str], bool] = {}
        self.repeats: list[tuple[int, Command, bool]] = []
        self.next: tuple[int, int] | None = None
        """The first that was to run when this transaction began: (run_at, id)."""
        self.is_quiet = False
        """Whether it is known that nothing was due then."""
        self._horizon: tuple[int, int] | None = None
        self._horizons: dict[str, tuple[int, int] | None] = {}
        """How far what is due was read, of a key: the last (run_at, id); None: to its end."""
        self._rows = {row.id: row for row in rows}
        self._counters = {row.id: row.last_process for row in rows}
        self._stored: dict[int, ProcessRow] = {}
        self._new: set[int] = set()
        self._times: dict[str, int] = {}
        self._replies: dict[tuple[str, str], StoredReply] = {}
        self.careful = True
        """Whether each item that uses the database gets a savepoint; without it one that fails undoes all."""
        self._savepoint = False
        self._has_read = False
        self._has_written = False

    def stored_replies(self, commands: Sequence[Command]) -> dict[int, bytes]:
        """The replies to commands that were answered before, by index; repeats within the batch are noted."""
        ids = [command.stored_as for command in commands if command.stored_as is not None]
        if not ids:
            return {}
        stored = {(row.player, row.id): row for row in self.work.answered(ids)}
        answers: dict[int, bytes] = {}
        first: dict[tuple[str, str], bytes] = {}
        for index, command in enumerate(commands):
            if command.stored_as is None:
                continue
            claim = (command.player, command.stored_as)
            row = stored.get(claim)
            if row is not None:
                answers[index] = row.frame if row.digest == command.digest else reused_id(command)
            elif claim in first:
                self.repeats.append((index, command, first[claim] == command.digest))
            else:
                first[claim] = command.digest
        return answers

    # What handlers reach through ``tx``

    def new_process_id(self, key: str) -> int:
        """A partition's counter times the number of partitions, plus the partition: unique, in order."""
        partition = partition_of(key, self.partitions)
        self._counters[partition] += 1
        id = self._counters[partition] * self.partitions + partition
        self._new.add(id)
        return id

    def live_process(self, id: int) -> ProcessRow | None:
        """A live process as this batch has left it."""
        row = self.processes.get(id) or self._stored.get(id)
        if row is None and id not in self._new:
            row = self.work.process(id)
            if row is not None:
                self._stored[id] = row
        return None if row is None or row.state in FINISHED else row

    def live_processes(self, key: str) -> list[ProcessRow]:
        """All live processes of a key as this batch has left them."""
        rows = {row.id: row for row in self.work.processes_of_key(key)}
        rows.update((row.id, row) for row in self.processes.values() if row.key == key)
        return [row for row in rows.values() if row.state not in FINISHED]

    def unique_process(self, key: str, kind: str, name: str) -> ProcessRow | None:
        """The live process with this unique name, as this batch has left it."""
        for row in self.processes.values():
            if (row.key, row.kind, row.unique_name) == (key, kind, name) and row.state not in FINISHED:
                return row
        stored = self.work.unique_process(key, kind, name)
        return None if stored is None or stored.id in self.processes else stored

    def granted(self, player: str) -> set[str]:
        """The streams that were granted to a player, as this batch has left it."""
        streams = set(self.work.subscriptions(player))
        for (whose, stream), granted in self.grants.items():
            if whose == player:
                (streams.add if granted else streams.discard)(stream)
        return streams

    # Due work

    def read(self, rows: Sequence[ProcessRow], limit: int, *, key: str | None = None) -> None:
        """Note what is due, of all keys or of one, as far as ``limit`` allowed to read it.

        What this transaction itself has started beyond that is not run in it: it would overtake what was
        not read.
        """
        for row in rows:
            self.enqueue(row)
        last = (rows[-1].run_at, rows[-1].id) if rows else BEFORE_ALL
        horizon = None if len(rows) < limit else last
        if key is None:
            self._horizon = horizon
            return
        self._horizons[key] = horizon
        for row in self.processes.values():
            if row.key == key:
                self._enqueue_changed(row)

    def is_read(self, key: str) -> bool:
        """Whether everything that is due of this key was read."""
        return self._horizons.get(key, self._horizon) is None

    def enqueue(self, row: ProcessRow) -> None:
        """Note a process that is due, unless it is noted already."""
        entry = (row.run_at, row.id)
        queue = self.due.setdefault(row.key, [])
        if row.id not in self._stored or entry not in queue:
            self._stored[row.id] = row
            heapq.heappush(queue, entry)

    def next_due(self, key: str) -> ProcessRow | None:
        """Take the next due process of a key, as it stands now: cancelled or moved ones are passed over."""
        queue = self.due.get(key)
        while queue:
            run_at, id = heapq.heappop(queue)
            row = self.processes.get(id) or self._stored.get(id)
            if row is not None and row.state in DUE and row.run_at == run_at:
                return row
        self.due.pop(key, None)
        return None

    def change(self, row: ProcessRow) -> None:
        """Note a process that a handler has started or changed; what is due runs in this transaction."""
        self.processes[row.id] = row
        if row.state in FINISHED:
            self.finished[row.id] = (self._times.get(row.key, self.real_now), None)
        else:
            self._enqueue_changed(row)

    def _enqueue_changed(self, row: ProcessRow) -> None:
        if row.state not in DUE or row.run_at > self.real_now or row.partition not in self._rows:
            return
        horizon = self._horizons.get(row.key, self._horizon)
        if horizon is None or (row.run_at, row.id) <= horizon:
            heapq.heappush(self.due.setdefault(row.key, []), (row.run_at, row.id))

    def soonest(self, partitions: Sequence[int], held: Collection[str]) -> int | None:
        """When to look again: read once more only if this batch has run or changed what was next."""
        if not self.is_quiet or (self.next is not None and self.next[1] in self.processes):
            following = self.work.next_due(partitions, held)
            return None if following is None else following[0]
        changed = self.processes.values()
        left = [row.run_at for row in changed if row.state in DUE and row.partition in self._rows]
        if self.next is not None:
            left.append(self.next[0])
        return min(left, default=None)

    def time_of(self, key: str, moment: int) -> int:
        """The time at which an item of the key executes: ``moment``, but never before the key's last item."""
        now = max(moment, self._times.get(key, 0))
        self._times[key] = now
        return now

    def jitter(self, id: int, attempt: int) -> float:
        """A number from 0 to 1 that is the same for the same try."""
        return random.Random(f"{id}:{attempt}").random()  # noqa: S311 - spreads retries

    # Undoing one item

    def reading(self) -> None:
        """The item is about to read, where a statement that fails spoils the transaction."""
        self._has_read = True
        if self.careful:
            self._take_savepoint()

    def writing(self) -> None:
        """The item is about to write."""
        self._has_written = True
        if self.careful:
            self._take_savepoint()

    def _take_savepoint(self) -> None:
        if not self._savepoint:
            self.work.send("SAVEPOINT item")
            self._savepoint = True

    def release(self) -> None:
        """The item succeeded: its writes belong to the transaction.

        It is waited for, because it fails when a handler has swallowed an error of the database. Else the
        next item's way back would lead to before this one, which has its answer.
        """
        if self._savepoint:
            self.work.connection.exec_driver_sql("RELEASE SAVEPOINT item")
        self._savepoint = self._has_read = self._has_written = False

    def undo(self, error: BaseException) -> None:
        """The item failed: its writes never happened.

        Raises:
            StartOver: they cannot be told from those of the items before it.
        """
        if self._savepoint:
            self.work.connection.exec_driver_sql("ROLLBACK TO SAVEPOINT item")
        else:
            refused = isinstance(error, (Rejected, Refused)) and error.__context__ is None
            if self._has_written or (self._has_read and not refused):
                raise StartOver
        self.release()

    # The end

    def keep_reply(self, command: Command, frame: bytes) -> None:
        """Note the reply of a command that has an id."""
        claim = command.stored_as
        if claim is not None:
            self._replies[(command.player, claim)] = StoredReply(command.player, claim, command.digest, frame)

    def flush(self, answers: dict[int, bytes], left: list[int]) -> Outcome:
        """Write everything, one statement a table, and give the outcome to announce after the commit."""
        live = [row for row in self.processes.values() if row.state not in FINISHED]
        done = [(row, *self.finished[row.id]) for row in self.processes.values() if row.state in FINISHED]
        # What is finished goes first: it may have been unique under a name that something live has now.
        self.work.finish_processes(done, stored=sum(1 for row, _, _ in done if row.id not in self._new))
        self.work.save_processes(live)
        events = self._number_events()
        self.work.add_events(events)
        self.work.add_subscriptions([pair for pair, granted in self.grants.items() if granted])
        self.work.remove_subscriptions([pair for pair, granted in self.grants.items() if not granted])
        self.work.add_replies(list(self._replies.values()), self.real_now)
        self.work.save_partitions(self._advanced())
        for index, command, same in self.repeats:
            reply = self._replies.get((command.player, command.stored_as or ""))
            if not same:
                answers[index] = reused_id(command)
            elif reply is None:
                left.append(index)
            else:
                answers[index] = reply.frame
        return Outcome(
            answers=answers,
            left=sorted(left),
            events=[
                Event(
                    e.stream,
                    e.offset,
                    e.event,
                    push_frame(e.stream, e.offset, e.event, isoformat(e.at), e.data, message=e.message),
                )
                for e in events
            ],
            now=self.real_now,
            items=self.items,
            soon=[(row.partition, row.run_at) for row in live if row.state in DUE],
        )

    def _number_events(self) -> list[EventRow]:
        if not self.publications:
            return []
        counts: dict[str, int] = {}
        for each in self.publications:
            counts[each.stream] = counts.get(each.stream, 0) + 1
            if each.grant_of is not None:
                counts.setdefault(each.grant_of, 0)
        heads = self.work.advance_heads(counts)
        last = {name: heads[name] - count for name, count in counts.items()}
        rows = []
        for each in self.publications:
            last[each.stream] += 1
            data = each.data
            if each.grant_of is not None:
                data = encode({"stream": each.grant_of, "offset": last[each.grant_of]})
            rows.append(EventRow(each.stream, last[each.stream], each.event, each.at, data, each.message))
        return rows

    def _advanced(self) -> list[PartitionRow]:
        """The partitions that were used: their clocks go to this transaction's time."""
        used = {partition_of(key, self.partitions) for key in self._times}
        return [PartitionRow(id, self.real_now, self._counters[id]) for id in sorted(used)]


def reused_id(command: Command) -> bytes:
    """The reply to a command whose id was used for something else."""
    sentence = f"id: {command.id!r} was used for another command or other arguments within 24 hours."
    return error_reply(command.id, command.name, Refused("invalid_args", sentence))
