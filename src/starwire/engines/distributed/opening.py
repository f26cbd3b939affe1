"""Opening a gateway's side of the distributed engine from settings."""

from __future__ import annotations

from starwire.app import App, Registry
from starwire.clock import Clock
from starwire.config import Settings
from starwire.engines import Opened
from starwire.engines.distributed.engine import DistributedEngine
from starwire.engines.distributed.preparing import prepare
from starwire.engines.distributed.presence import Herald
from starwire.engines.distributed.publishing import Publisher
from starwire.engines.distributed.tasks import make_celery
from starwire.errors import ConfigurationError
from starwire.store.database import read_facts
from starwire.store.reads import Reads


def open_distributed(
    app: App, registry: Registry, settings: Settings, clock: Clock, *, gateway: str
) -> Opened:
    """Open PostgreSQL and the broker; the schema is brought up under a lock.

    Raises:
        ConfigurationError: one of them is not usable.
    """
    if settings.database is None or settings.broker is None:
        raise ConfigurationError("the distributed engine needs STARWIRE_DATABASE and STARWIRE_BROKER")
    limits = settings.limits
    database = prepare(app, settings, writers=2)
    with database.read.begin() as connection:
        facts = read_facts(connection, partitions=settings.partitions)
    reads = Reads(registry, database, clock, epoch=facts.epoch, result_bytes=limits.result_bytes)
    publisher = Publisher(make_celery(settings.broker, limits))
    engine = DistributedEngine(
        reads,
        database,
        publisher,
        broker_url=settings.broker,
        clock=clock,
        limits=limits,
        gateway=gateway,
        partitions=settings.partitions,
    )
    herald = Herald(settings.broker, "gateway", gateway)
    return Opened(engine, database, "distributed", "PostgreSQL, through Celery workers", herald.stop)
