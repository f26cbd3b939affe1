"""Every guarantee is tested over every engine that is named here."""

import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import structlog

from starwire.telemetry import configure_logs
from tests.contract.harness import Embedded, Engine


@pytest.fixture(scope="package", autouse=True)
def _logs_as_a_server_writes_them() -> Iterator[None]:
    before = structlog.get_config()
    configure_logs(to=sys.stdout)
    yield
    structlog.configure(**before)


ENGINES = {"embedded": Embedded}


@pytest.fixture(params=sorted(ENGINES))
async def engine(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Engine]:
    """An engine that has not been started; whatever runs is stopped at the end."""
    made = ENGINES[request.param](tmp_path)
    yield made
    await made.close()
