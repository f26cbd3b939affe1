"""Every guarantee is tested over every engine that is named here."""

import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import structlog

from starwire.engines.distributed.services import Postgres, Valkey
from starwire.telemetry import configure_logs
from tests.contract.distributed import Distributed, Site
from tests.contract.harness import Embedded, Engine, Gateway


@pytest.fixture(scope="package", autouse=True)
def _logs_as_a_server_writes_them() -> Iterator[None]:
    before = structlog.get_config()
    configure_logs(to=sys.stdout)
    yield
    structlog.configure(**before)


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory, postgres: Postgres, valkey: Valkey) -> Iterator[Site]:
    """Two workers, started once."""
    made = Site(tmp_path_factory.mktemp("site"), postgres, valkey)
    try:
        made.start()
        yield made
    finally:
        made.stop()


@pytest.fixture(params=["embedded", "distributed"])
async def engine(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Engine]:
    """An engine that has not been started; whatever runs is stopped at the end."""
    made: Gateway
    if request.param == "embedded":
        made = Embedded(tmp_path)
    else:
        made = Distributed(tmp_path, request.getfixturevalue("site"))
    yield made
    await made.close()
