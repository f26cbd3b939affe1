"""A cluster for the tests in which nothing of it is hurt for long, and a database to look into."""

from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from starwire.engines.distributed.services import Postgres
from tests.services import Cluster, fresh_database

Rows = Callable[..., list[dict[str, Any]]]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory, postgres: Postgres) -> Iterator[Cluster]:
    """Two gateways, two workers and two schedulers for the village."""
    with fresh_database(postgres) as url:
        folder = tmp_path_factory.mktemp("cluster")
        with Cluster(folder, url, app="tests.support.village:app", log_level="warning") as running:
            yield running


@pytest.fixture
def rows(cluster: Cluster) -> Iterator[Rows]:
    """Asks the cluster's database: `rows(query, *parameters)`."""
    with psycopg.connect(cluster.database, autocommit=True, row_factory=dict_row) as connection:
        yield lambda query, *parameters: connection.execute(query, parameters).fetchall()
