"""The distributed engine: gateways, workers and schedulers over Celery, PostgreSQL and Redis or Valkey.

``celery -A starwire.engines.distributed worker`` works too; it reads the settings that ``starwire worker``
reads: STARWIRE_APP, STARWIRE_DATABASE, STARWIRE_BROKER.

::

    gateway: engine.py ── task starwire.commands ─→ worker: tasks.py, the one executor
    gateway: broker.py ←─ pub/sub: replies, encoded events ─┘   │ ETA task starwire.due, for what is due soon
    scheduler: scheduling.py ── ETA tasks for the horizon ──────┘

The rows are the truth: every message may be lost, and costs latency then, nothing else.
"""

from starwire.engines.distributed.tasks import celery

__all__ = ["celery"]
