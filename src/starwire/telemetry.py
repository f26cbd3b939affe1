"""Logs and metrics, made in one place.

Logs are structlog events with a greppable name and named values; never tokens, never contents. Metrics are
Prometheus's, with the unit in the name; ``/metrics`` serves them.
"""

from __future__ import annotations

import logging
import sys
from typing import TextIO

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

metrics = CollectorRegistry()

connections = Gauge("starwire_connections", "Open connections that have said hello.", registry=metrics)
commands = Counter(
    "starwire_commands", "Commands that were answered.", ["command", "outcome"], registry=metrics
)
command_seconds = Histogram(
    "starwire_command_seconds",
    "From a command's arrival to its reply.",
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
    registry=metrics,
)
batches = Counter("starwire_batches", "Transactions of the executor.", registry=metrics)
items = Counter("starwire_items", "Commands and due processes that were run.", registry=metrics)
batch_commands = Histogram(
    "starwire_batch_commands",
    "Commands in one transaction.",
    buckets=(1, 2, 5, 10, 20, 50, 100, 256),
    registry=metrics,
)
pushes = Counter("starwire_pushes", "Events written to connections.", registry=metrics)
lateness = Gauge(
    "starwire_lateness_seconds", "Age of the oldest due process that is not finished.", registry=metrics
)
beat_age = Gauge("starwire_beat_age_seconds", "Time since the last beat came back.", registry=metrics)


def batch(taken: int, run: int) -> None:
    """Count one transaction of the executor."""
    batches.inc()
    items.inc(run)
    batch_commands.observe(taken)


def exposition() -> bytes:
    """All metrics in Prometheus's text format."""
    return generate_latest(metrics)


def configure_logs(*, level: str = "info", json: bool = False, to: TextIO | None = None) -> None:
    """Send logs to stderr: coloured lines on a terminal, plain ones elsewhere, JSON if asked for.

    Raises:
        ValueError: the level is unknown.
    """
    numeric = logging.getLevelNamesMapping().get(level.upper())
    if numeric is None:
        raise ValueError(f"log level {level!r} is unknown; use debug, info, warning or error")
    stream = to or sys.stderr
    renderer: structlog.typing.Processor
    if json:
        renderer = structlog.processors.JSONRenderer()
    else:
        # Not rich's tracebacks: they show the values of variables (tokens are among them), slowly.
        renderer = structlog.dev.ConsoleRenderer(
            colors=stream.isatty(), pad_event_to=22, exception_formatter=structlog.dev.plain_traceback
        )
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if json:
        shared.append(structlog.processors.format_exc_info)
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(numeric),
        logger_factory=structlog.PrintLoggerFactory(stream),
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(
        level=max(numeric, logging.WARNING), stream=stream, format="%(levelname)s %(name)s %(message)s"
    )
