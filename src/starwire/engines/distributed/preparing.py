"""What every role does before anything else: PostgreSQL and the broker answer, and the schema is this code's.

Any of them may be the first on an empty database, and ten may start at once: migrations run under a lock.
"""

from __future__ import annotations

from redis.exceptions import RedisError

from starwire.app import App
from starwire.config import Settings
from starwire.engines.distributed.addresses import require_broker
from starwire.engines.distributed.presence import connect
from starwire.errors import ConfigurationError
from starwire.store.database import Database, read_facts
from starwire.store.migrate import upgrade
from starwire.store.postgres import open_postgres


def prepare(app: App | None, settings: Settings, *, writers: int = 1) -> Database:
    """Open the database at the schema of this code, and of the app when there is one.

    Raises:
        ConfigurationError: PostgreSQL or the broker cannot be used, or the database is not this code's.
    """
    if settings.database is None or settings.broker is None:
        raise ConfigurationError("the distributed engine needs STARWIRE_DATABASE and STARWIRE_BROKER")
    database = open_postgres(settings.database, settings.limits, writers=writers)
    try:
        _require_broker_answers(settings.broker)
        upgrade(database, app, dev=settings.dev, partitions=settings.partitions)
        with database.read.begin() as connection:
            read_facts(connection, partitions=settings.partitions)
    except BaseException:
        database.close()
        raise
    return database


def _require_broker_answers(url: str) -> None:
    try:
        with connect(require_broker(url)) as broker:
            broker.ping()
    except (RedisError, ValueError) as error:
        raise ConfigurationError(f"STARWIRE_BROKER: Redis or Valkey is not usable: {error}") from None
