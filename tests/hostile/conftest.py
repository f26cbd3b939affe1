"""One server for all of these tests, and a player on it who must notice nothing of any of them."""

from collections.abc import AsyncIterator, Iterator

import pytest

from starwire.client import guest
from tests.hostile.bystander import Bystander
from tests.support.server import ServerProcess

HELLO_SECONDS = 2
"""Of the server's deadlines for a handshake and for hello; the tests wait that long for them."""


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """The ledger, as an OS process of its own."""
    process = ServerProcess(
        tmp_path_factory.mktemp("hostile"),
        app="tests.support.ledger:app",
        hello_seconds=str(HELLO_SECONDS),
        request_seconds=str(HELLO_SECONDS),
        guests_per_minute="100000",
    )
    process.start()
    try:
        yield process
    finally:
        process.close()


@pytest.fixture(scope="package")
async def bystander(server: ServerProcess) -> AsyncIterator[Bystander]:
    """Plays all the time, from the first of these tests to the last."""
    account = await guest(server.url)
    async with Bystander.plays(server.port, account["access_token"]) as player:
        yield player


@pytest.fixture(autouse=True)
async def nobody_notices(bystander: Bystander) -> AsyncIterator[None]:
    """Whatever a test does to the server, a well-behaved player plays on meanwhile and afterwards."""
    yield
    await bystander.plays_on()


@pytest.fixture
async def token(server: ServerProcess) -> str:
    """An access token of a new player."""
    return str((await guest(server.url))["access_token"])


@pytest.fixture(autouse=True, scope="package")
def no_error_is_logged(server: ServerProcess) -> Iterator[None]:
    """Nothing that a client sends may surprise the server."""
    yield
    lines = server.log.read_text(errors="replace").splitlines()
    errors = [line for line in lines if "[error" in line or "Traceback" in line or "[critical" in line]
    assert not errors, "\n".join(errors[:10])
