"""Every bound holds its relations to the others, and says in one line which one was broken."""

from typing import Any

import msgspec
import pytest

from starwire.errors import ConfigurationError
from starwire.limits import Limits


@pytest.mark.parametrize(
    ("values", "names"),
    [
        ({"write_low_bytes": 65_536}, ["write_low_bytes", "write_high_bytes"]),
        ({"ping_seconds": 30.0, "pong_seconds": 15.1}, ["ping_seconds", "pong_seconds"]),
        ({"key_due": 512}, ["key_due", "batch_due"]),
        ({"beat_seconds": 15.0}, ["beat_seconds", "beat_late_seconds"]),
        ({"pending_commands": 63}, ["commands_in_flight", "pending_commands"]),
        ({"retained_events": 255}, ["catch_up_events", "retained_events"]),
    ],
)
def test_a_relation_that_is_broken_is_one_line_with_both_names(
    values: dict[str, Any], names: list[str]
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Limits(**values)
    line = str(caught.value)
    assert line.startswith("limits: ")
    assert "\n" not in line
    assert all(name in line for name in names), line


@pytest.mark.parametrize("name", [field.name for field in msgspec.structs.fields(Limits)])
@pytest.mark.parametrize("value", [0, -1])
def test_every_bound_is_above_zero(name: str, value: int) -> None:
    with pytest.raises(ConfigurationError, match="limits: ") as caught:
        Limits(**{name: value})
    assert name in str(caught.value)


@pytest.mark.parametrize(
    ("name", "most"),
    [("retained_days", 36_500), ("reply_hours", 876_000), ("recent_events", 10**9), ("stalled_seconds", 1e9)],
)
def test_no_bound_is_so_great_that_time_or_memory_has_no_such_number(name: str, most: Any) -> None:
    Limits(**{name: most})
    with pytest.raises(ConfigurationError, match=f"limits: {name} must be at most"):
        Limits(**{name: most + 1})


def test_bounds_at_the_edge_of_their_relations_are_allowed() -> None:
    Limits(write_low_bytes=65_535, ping_seconds=22.5, pong_seconds=22.5, key_due=511)
    Limits(pending_commands=64, retained_events=256)
