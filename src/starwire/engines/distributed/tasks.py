"""The worker: Celery tasks around the one executor.

``starwire.commands`` runs the commands that wait for a set of partitions, ``starwire.due`` what is due of
them. Tasks are acknowledged early: redelivery would come too late to help. After the commit a task publishes
replies and events, and sends the ETA tasks for what it has left to run soon; if the worker dies before that,
the gateway finds the replies in the table, gateways find the events there, and the scheduler sweeps.
"""

from __future__ import annotations

import os
import threading
import time
from collections import OrderedDict
from collections.abc import Iterable
from typing import Any

import kombu
import redis
import structlog
from celery import Celery
from celery.app.amqp import AMQP
from celery.signals import worker_process_init, worker_ready, worker_shutdown

from starwire import config, system, telemetry
from starwire.batch import Outcome
from starwire.clock import SystemClock
from starwire.engines.distributed import messages
from starwire.engines.distributed.addresses import connection_options, for_celery, require_broker
from starwire.engines.distributed.presence import Herald
from starwire.errors import ConfigurationError
from starwire.executor import Executor
from starwire.limits import Limits
from starwire.loading import find_app
from starwire.store.database import Database, read_facts
from starwire.store.lease import current_term
from starwire.store.postgres import open_postgres

log = structlog.get_logger("starwire.worker")

REMEMBERED_BUCKETS = 4096
PUBLISH = "for i = 1, #ARGV, 2 do redis.call('PUBLISH', ARGV[i], ARGV[i + 1]) end"
"""Channel, message, channel, message…; a pipeline costs the worker three times the CPU for each."""


class Connection(kombu.Connection):  # type: ignore[misc,name-defined]
    """Comes back within a second: Celery's workers would wait up to 30 seconds between two tries."""

    def _ensure_connection(self, *args: Any, **kwargs: Any) -> Any:
        pace = {"interval_start": 0.2, "interval_step": 0.2, "interval_max": 1.0}
        return super()._ensure_connection(*args, **(kwargs | pace))


class Amqp(AMQP):  # type: ignore[misc]
    """Celery's way to its broker, with connections of ours."""

    Connection = Connection


def make_celery(broker: str, limits: Limits) -> Celery:
    """The Celery application, for gateways, workers and schedulers alike.

    What a worker holds until its ETA stays in its memory (no ``ack_emulation``): nothing is ever redelivered,
    an orderly stop puts it back, and what a crash loses is swept.
    """
    celery = Celery("starwire", broker=for_celery(require_broker(broker)), backend=None, amqp=Amqp)
    celery.conf.update(
        task_default_queue=messages.QUEUE,
        task_ignore_result=True,
        task_acks_late=False,
        worker_prefetch_multiplier=1,
        worker_consumer="starwire.engines.distributed.consuming:Consumer",
        worker_send_task_events=True,
        task_send_sent_event=True,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_transport_options={
            "ack_emulation": False,
            "socket_timeout": 10,
            "socket_connect_timeout": limits.publish_seconds,
            **connection_options(broker),
            "retry_on_timeout": False,
            "max_retries": 0,  # of connecting in order to publish: whoever publishes knows what to do then
        },
        enable_utc=True,
    )
    return celery


class Worker:
    """What one OS process of a worker holds: its executor, and its connection to pub/sub."""

    def __init__(self, settings: config.Settings) -> None:
        if settings.database is None or settings.broker is None:
            raise ConfigurationError("a worker needs STARWIRE_DATABASE and STARWIRE_BROKER")
        self.limits = settings.limits
        self.partitions = settings.partitions
        registry = find_app(settings.app).registry(system.module)
        self.database: Database = open_postgres(settings.database, settings.limits, pipelined=True)
        with self.database.write.begin() as connection:
            facts = read_facts(connection, partitions=settings.partitions)
        self.executor = Executor(
            registry,
            self.database,
            SystemClock(),
            settings.limits,
            seed=facts.seed,
            partitions=settings.partitions,
            sure=False,
        )
        self.pubsub = redis.Redis.from_url(
            settings.broker,
            socket_timeout=settings.limits.publish_seconds,
            **connection_options(settings.broker),
        )
        self._publish = self.pubsub.register_script(PUBLISH)
        name = os.environ.get("STARWIRE_NAME", f"worker-{os.getpid()}")
        self.herald = Herald(settings.broker, "worker", name)
        self._term = 0
        self._sent: OrderedDict[tuple[int, int], None] = OrderedDict()
        self._again: dict[int, float] = {}
        self._ahead = 0.0

    def commands(self, batch: messages.Batch) -> None:
        """Run the commands of a batch; what one transaction leaves goes into the next."""
        waiting = list(enumerate(batch.commands))
        while waiting:
            outcome = self.executor.run([command for _, command in waiting], batch.partitions)
            answers = {waiting[index][0]: answer for index, answer in outcome.answers.items()}
            self.announce(outcome, messages.Replies(batch.id, answers), batch.gateway)
            self.send_due(outcome, batch.partitions)
            waiting = [waiting[index] for index in outcome.left]

    def due(self, partitions: list[int], term: int) -> None:
        """Run what is due; a task of an older term does nothing, that was set up again."""
        with self.database.read.begin() as connection:
            self._term = max(self._term, current_term(connection))
        if term < self._term:
            return
        outcome = self.executor.run_due(partitions)
        if outcome is None:  # its holder may have started before the due moment
            self.come_again(partitions)
            return
        self.announce(outcome, None, "")
        self.send_due(outcome, partitions)

    def announce(self, outcome: Outcome, replies: messages.Replies | None, gateway: str) -> None:
        """Tell the gateways what was committed: one command, so that it also arrives together."""
        telemetry.batch(0 if replies is None else len(replies.answers), outcome.items)
        if not outcome.events and replies is None:
            return
        told: list[str | bytes] = []
        if replies is not None:
            told += (messages.REPLIES + gateway, messages.encode(replies))
        for event in outcome.events:
            told += (messages.STREAM + event.stream, messages.encode(event))
        try:
            self._publish(args=told)
        except redis.RedisError as error:
            log.warning("announce_failed", error=str(error), events=len(outcome.events))

    def send_due(self, outcome: Outcome, partitions: list[int]) -> None:
        """Send the ETA tasks for what this batch has left to run within the horizon.

        Due times are the database's; an ETA is this machine's time. What counts is how long it is from now.
        """
        self._read_clock(outcome)
        # A little beyond: what this transaction had not committed yet, the scheduler has not seen coming.
        horizon = outcome.now + int((self.limits.horizon_seconds + self.limits.transaction_seconds) * 1e6)
        seconds = self.limits.bucket_seconds
        buckets = {(p, bucket_after(run_at, seconds)) for p, run_at in outcome.soon if run_at <= horizon}
        for partition, bucket in sorted(buckets, key=lambda each: each[1]):
            if (partition, bucket) in self._sent:
                continue
            self._sent[(partition, bucket)] = None
            while len(self._sent) > REMEMBERED_BUCKETS:
                self._sent.popitem(last=False)
            delay = bucket * seconds - self._ahead - time.monotonic()
            send_due_task(celery, [partition], self._term, delay)
        # There is more than one transaction takes, or the clock of whoever held the task was a little fast.
        if outcome.next_due is not None and outcome.next_due <= outcome.now + int(seconds * 1e6):
            self.come_again(partitions)

    def come_again(self, partitions: list[int]) -> None:
        """Look at these partitions one bucket later; one such task of each is on its way at most."""
        now, seconds = time.monotonic(), self.limits.bucket_seconds
        free = [partition for partition in partitions if self._again.get(partition, 0.0) <= now]
        self._again.update(dict.fromkeys(free, now + seconds / 2))
        if free:
            send_due_task(celery, free, self._term, seconds)

    def _read_clock(self, outcome: Outcome) -> None:
        """Learn how far the database's clock is ahead of our monotonic one, in seconds.

        It was read between the beginning of the transaction and the end of its items. What is kept is the
        greatest that is certain, so that no task is early, until another reading contradicts it.
        """
        least, most = outcome.now / 1e6 - outcome.executed, outcome.now / 1e6 - outcome.began
        self._ahead = least if self._ahead > most else max(self._ahead, least)


def bucket_after(micros: int, bucket_seconds: float) -> int:
    """The number of the bucket at whose end everything up to this moment is due."""
    return int(micros / 1e6 / bucket_seconds) + 1


def send_due_task(
    app: Celery, partitions: Iterable[int], term: int, delay: float, *, expires: float | None = None
) -> bool:
    """Send ``starwire.due`` with an ETA so many seconds from now; whether the broker has it."""
    try:
        app.send_task(
            messages.DUE,
            args=[list(partitions), term],
            countdown=delay if delay > 0 else None,
            retry=False,
            expires=expires,
        )
    except Exception as error:  # noqa: BLE001 - kombu raises whatever its transport raises
        log.warning("due_not_sent", error=str(error))
        return False
    return True


_lock = threading.Lock()
_worker: Worker | None = None


def _get_worker() -> Worker:
    global _worker  # noqa: PLW0603 - one for each OS process, made by its first task
    with _lock:
        if _worker is None:
            settings, _ = config.load(os.environ)
            _worker = Worker(settings)
        return _worker


@worker_shutdown.connect  # type: ignore[untyped-decorator]
def _close(**_: Any) -> None:
    if _worker is not None:
        _worker.herald.stop()
        _worker.database.close()


@worker_process_init.connect  # type: ignore[untyped-decorator]
def _begin_anew(**_: Any) -> None:
    """A process of a pool, forked when another one died, uses no connection of its parent's."""
    global _worker  # noqa: PLW0603 - see `_get_worker`
    _worker = None


@worker_ready.connect  # type: ignore[untyped-decorator]
def _open(**_: Any) -> None:
    """Find out at once, not with the first task, whether everything is there."""
    try:
        _get_worker()
    except ConfigurationError as error:  # Celery would log any error, and go on to take tasks and lose them
        log.critical("refused", error=str(error))
        raise SystemExit(2) from None
    log.info("ready", pid=os.getpid())


celery = make_celery(os.environ.get("STARWIRE_BROKER", "redis://127.0.0.1:6379/0"), Limits())


@celery.task(name=messages.COMMANDS)  # type: ignore[untyped-decorator]
def commands(payload: str) -> None:
    """The commands that wait for a set of partitions."""
    _get_worker().commands(messages.decode_batch(payload))


@celery.task(name=messages.DUE)  # type: ignore[untyped-decorator]
def due(partitions: list[int], term: int) -> None:
    """What is due of a set of partitions."""
    _get_worker().due(partitions, term)
