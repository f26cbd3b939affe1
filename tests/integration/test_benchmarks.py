"""The benchmarks run at all. What they measure is no test's business: the machine may be busy."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import run
from benchmarks.servers import Machine, Subject
from tests.support.machine import REPOSITORY

TIMEOUT = pytest.mark.timeout(180)


def assert_it_measures(subject: Subject) -> None:
    seen = run.measure(subject, clients=2, seconds=1.0)
    assert seen["errors"] == {}
    assert seen["commands"] > 0, seen
    assert seen["pushes"] > 0, seen
    assert set(seen["server_cpu_us"]) == set(subject.pids)
    table = "\n".join(run.table({run.Visit(2, subject.name, 0): seen}))
    assert f"| 2 | {subject.name} |" in table


@TIMEOUT
def test_the_load_measures_the_embedded_engine(tmp_path: Path) -> None:
    with Machine(tmp_path) as machine:
        assert_it_measures(machine.embedded())


@TIMEOUT
def test_the_load_measures_the_distributed_engine(tmp_path: Path) -> None:
    with Machine(tmp_path) as machine:
        assert_it_measures(machine.distributed(workers=1))


@TIMEOUT
@pytest.mark.peer
def test_the_load_measures_the_sketch(tmp_path: Path) -> None:
    with Machine(tmp_path) as machine:
        assert_it_measures(machine.sketch())


def test_a_table_goes_to_its_place_in_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "performance.md"
    page.write_text(f"before\n{run.BEGIN}\nan old table\n{run.END}\nafter\n")
    monkeypatch.setattr(run, "PAGE", page)
    run.save("a new table")
    assert page.read_text() == f"before\n{run.BEGIN}\na new table\n{run.END}\nafter\n"


def test_a_load_on_nobody_says_so() -> None:
    command = [sys.executable, "-m", "benchmarks.load", "--url", "http://127.0.0.1:9", "--seconds", "1"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "ConnectionRefusedError" in done.stderr, json.dumps(done.stderr)
