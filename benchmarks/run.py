"""``make bench``: ours and the sketch, side by side on this machine, as one table.

All servers run at once, on the same PostgreSQL and Valkey; the load visits one after the other, several
rounds over, so that whatever else the machine does meets them alike. A figure is the median of its rounds.
A ratio is taken within each round first: compare ratios between machines, never figures.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.servers import REPOSITORY, Machine, Subject

PAGE = REPOSITORY / "docs" / "explanation" / "performance.md"
BEGIN, END = "<!-- make bench ARGS=--save: begin -->", "<!-- make bench ARGS=--save: end -->"
SYSTEMS = ("embedded", "distributed", "sketch", "sketch_solo")
PEER = "sketch"
OF_PEER = f"of the {PEER}'s"
HEADINGS = (
    "clients",
    "system",
    "commands/s",
    OF_PEER,
    "p50 ms",
    OF_PEER,
    "p95 ms",
    "p99 ms",
    "CPU µs a command",
)
Seen = dict[str, Any]


class Visit(NamedTuple):
    """One run of the load against one system."""

    clients: int
    system: str
    round: int


def measure(subject: Subject, clients: int, seconds: float) -> Seen:
    """Load one system, from an OS process of its own."""
    command = [sys.executable, "-m", "benchmarks.load", "--url", subject.url, "--clients", str(clients)]
    command += ["--seconds", str(seconds), *subject.watched()]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"the load on the {subject.name} failed:\n{done.stderr}")
    seen: Seen = json.loads(done.stdout)
    return seen


def run(systems: Sequence[str], clients: Sequence[int], rounds: int, seconds: float) -> dict[Visit, Seen]:
    """Start everything, visit everybody in turn, stop everything."""
    seen: dict[Visit, Seen] = {}
    with tempfile.TemporaryDirectory(prefix="starwire-bench-") as folder, Machine(Path(folder)) as machine:
        subjects = [getattr(machine, name)() for name in systems]
        for number in range(rounds):
            for count in clients:
                for subject in subjects:
                    found = measure(subject, count, seconds)
                    seen[Visit(count, subject.name, number)] = found
                    print(
                        f"round {number + 1}/{rounds}  {count:>5} clients  {subject.name:<12}"
                        f" {found['per_second']:>9,.1f} commands/s  p50 {found['p50_ms']:>9.2f} ms",
                        file=sys.stderr,
                    )
    return seen


def median(seen: dict[Visit, Seen], clients: int, system: str, field: str) -> float:
    """Of one field, over the rounds."""
    return statistics.median(
        float(each[field]) for visit, each in seen.items() if visit[:2] == (clients, system)
    )


def ratio(seen: dict[Visit, Seen], clients: int, system: str, field: str) -> float | None:
    """To the sketch, within each round; the median of that. None: there is nothing to compare with."""
    ratios = [
        each[field] / peer[field]
        for visit, each in seen.items()
        if visit[:2] == (clients, system)
        and (peer := seen.get(visit._replace(system=PEER))) is not None
        and peer[field]
    ]
    return statistics.median(ratios) if ratios else None


def cpu(seen: dict[Visit, Seen], clients: int, system: str) -> dict[str, float]:
    """Microseconds of each role for one command, and of all."""
    rounds = [each["server_cpu_us"] for visit, each in seen.items() if visit[:2] == (clients, system)]
    roles = {role: statistics.median(each[role] for each in rounds) for role in rounds[0]}
    return {**roles, "all": statistics.median(sum(each.values()) for each in rounds)}


def table(seen: dict[Visit, Seen]) -> Iterator[str]:
    """The lines of the table, as Markdown."""
    yield f"| {' | '.join(HEADINGS)} |"
    yield "|---:|---|---:|---:|---:|---:|---:|---:|---|"
    for clients in sorted({visit.clients for visit in seen}):
        for system in SYSTEMS:
            if not any(visit[:2] == (clients, system) for visit in seen):
                continue
            rate, latency = (ratio(seen, clients, system, field) for field in ("per_second", "p50_ms"))
            used = cpu(seen, clients, system)
            roles = ", ".join(f"{role} {each:,.0f}" for role, each in used.items() if role != "all")
            cells = [
                f"{clients:,}",
                system,
                f"{median(seen, clients, system, 'per_second'):,.0f}",
                "" if rate is None else f"{rate:.1f}x",
                f"{median(seen, clients, system, 'p50_ms'):.1f}",
                "" if latency is None else f"{latency:.2f}x",
                f"{median(seen, clients, system, 'p95_ms'):.1f}",
                f"{median(seen, clients, system, 'p99_ms'):.1f}",
                f"{used['all']:,.0f} ({roles})" if len(used) > 2 else f"{used['all']:,.0f}",
            ]
            yield f"| {' | '.join(cells)} |"


def errors(seen: dict[Visit, Seen]) -> list[str]:
    """What went wrong, a line each."""
    return [
        f"{visit.system}, {visit.clients} clients, round {visit.round + 1}: {count} times {what}"
        for visit, each in seen.items()
        for what, count in each["errors"].items()
    ]


def conditions(rounds: int, seconds: float) -> str:
    """Where and how it was measured; nothing that names the machine."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{datetime.now(UTC):%Y-%m-%d}; {os.cpu_count()} cores ({platform.machine()}),"
        f" {memory:.0f} GB, {platform.system()}, Python {platform.python_version()}; load and servers on the"
        f" same machine; medians of {rounds} interleaved rounds of {seconds:g} s."
    )


def save(text: str) -> None:
    """Put the table where the page has its place for it."""
    page = PAGE.read_text(encoding="utf-8")
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise SystemExit(f"{PAGE.relative_to(REPOSITORY)} has no place for the table: {BEGIN} … {END}")
    PAGE.write_text(f"{before}{begin}\n{text}\n{end}{after}", encoding="utf-8")


def main() -> None:
    """Run as the arguments say and print the table."""
    parser = argparse.ArgumentParser(prog="make bench ARGS=…", description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--seconds", type=float, default=5.0, help="of each measurement, after a second's warm-up"
    )
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 100])
    parser.add_argument("--long", action="store_true", help="1,000 clients too")
    parser.add_argument("--only", choices=SYSTEMS, nargs="+", default=list(SYSTEMS))
    parser.add_argument(
        "--save", action="store_true", help=f"write the table into {PAGE.relative_to(REPOSITORY)}"
    )
    arguments = parser.parse_args()
    systems = list(arguments.only)
    if importlib.util.find_spec("fastapi") is None and any(PEER in name for name in systems):
        print("NOT MEASURED: the sketch, which needs FastAPI (pip install -e '.[bench]')", file=sys.stderr)
        systems = [name for name in systems if PEER not in name]
    clients = [*arguments.clients, *([1000] if arguments.long else [])]
    seen = run(systems, clients, arguments.rounds, arguments.seconds)
    text = "\n".join([*table(seen), "", conditions(arguments.rounds, arguments.seconds)])
    print(text)
    for line in errors(seen):
        print(f"ERROR: {line}")
    if arguments.save:
        save(text)


if __name__ == "__main__":
    main()
