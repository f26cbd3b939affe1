"""What holds for every test: the seed, what is skipped and said loudly, and that nothing is left running.

- `STARWIRE_SEED=<number>` repeats a run's random choices; the header and every failing run's summary name it.
- `async def` tests and fixtures just work (on asyncio, by anyio's plugin).
- Every test below tests/browser is marked `browser`. Tests marked `browser`, `node` or `go` are skipped when
  the machine lacks the program, with one loud line at the end of the run.
- A run that leaves threads or OS processes behind fails.
"""

import os
import random
import threading
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from tests.services import database, postgres, valkey
from tests.support.machine import find_chromium, find_go, find_node

__all__ = ["database", "postgres", "valkey"]  # fixtures, for every test

SEED = int(os.environ.get("STARWIRE_SEED") or random.SystemRandom().randrange(2**32))
os.environ["STARWIRE_SEED"] = str(
    SEED
)  # the OS processes among which pytest-xdist divides the run have the same

# marker -> (what finds the program, what to say when it does not)
PROGRAMS = {
    "browser": (find_chromium, "no Chromium on this machine (Debian: apt-get install chromium)"),
    "node": (find_node, "no Node.js on this machine (Debian: apt-get install nodejs)"),
    "go": (find_go, "no Go 1.21 or later on this machine (https://go.dev/dl)"),
    "peer": (lambda: find_spec("fastapi"), "FastAPI is not installed (`make bench` does it)"),
}
missing_programs = {marker: reason for marker, (find, reason) in PROGRAMS.items() if find() is None}
left_running: list[str] = []

# Examples may be slow on a loaded machine; the time limit of the whole test still holds.
hypothesis.settings.register_profile("starwire", deadline=None)
hypothesis.settings.load_profile("starwire")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Let hypothesis draw from the same seed, unless its own option says otherwise."""
    if config.option.hypothesis_seed is None:
        config.option.hypothesis_seed = str(SEED)


def pytest_report_header() -> str:
    return f"seed: {SEED} (STARWIRE_SEED={SEED} repeats it)"


SERVICES = {"postgres", "valkey", "database", "site", "cluster"}  # fixtures that start them


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    browser_tests = Path(__file__).parent / "browser"
    for item in items:
        if item.path.is_relative_to(browser_tests):
            item.add_marker(pytest.mark.browser)
        if _needs_services(item):
            item.add_marker(pytest.mark.cluster)


def _needs_services(item: pytest.Item) -> bool:
    """Whether PostgreSQL and Valkey must run for it, and with them workers."""
    if "distributed" in item.path.parts or SERVICES & set(getattr(item, "fixturenames", ())):
        return True
    parameters = getattr(getattr(item, "callspec", None), "params", {})
    return parameters.get("engine") == "distributed"


def pytest_collection_finish(session: pytest.Session) -> None:
    for item in session.items:
        for marker, reason in missing_programs.items():
            if item.get_closest_marker(marker):
                item.add_marker(pytest.mark.skip(reason=reason))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, exitstatus: int) -> None:
    skipped = [str(report.longrepr) for report in terminalreporter.stats.get("skipped", ())]
    for marker, reason in missing_programs.items():
        count = sum(reason in each for each in skipped)
        if count:
            terminalreporter.write_line(
                f"NOT TESTED: {count} {marker} tests were skipped: {reason}", yellow=True, bold=True
            )
    for what in left_running:
        terminalreporter.write_line(f"LEFT RUNNING: {what}", red=True, bold=True)
    if exitstatus not in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
        terminalreporter.write_line(f"STARWIRE_SEED={SEED} repeats this run's random choices", bold=True)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    workeroutput = getattr(session.config, "workeroutput", None)
    if workeroutput is not None:  # one of several: tell whoever has started us
        workeroutput["left_running"] = _left_running()
        return
    if not session.config.getoption("numprocesses", None):
        left_running.extend(_left_running())
    if exitstatus == pytest.ExitCode.OK and left_running:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    left_running.extend(getattr(node, "workeroutput", {}).get("left_running", ()))


def _left_running() -> list[str]:
    """Name the threads that would keep us from ending, and the OS processes we started and never ended."""
    found = [
        f"thread {thread.name}"
        for thread in threading.enumerate()
        if thread is not threading.main_thread() and not thread.daemon
    ]
    children = Path(
        f"/proc/self/task/{threading.get_native_id()}/children"
    )  # Linux only; elsewhere threads only
    if children.exists():
        for child in children.read_text().split():
            command = (
                Path(f"/proc/{child}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            )
            found.append(f"OS process {child}: {command.strip() or 'ended, but nobody waited for it'}")
    return found


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Async tests run on asyncio, the only loop we run on."""
    return "asyncio"


@pytest.fixture
def rng(request: pytest.FixtureRequest) -> random.Random:
    """A source of randomness that this run's seed and the test's name determine."""
    return random.Random(f"{SEED}:{request.node.nodeid}")
