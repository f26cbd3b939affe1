"""Logs tell what happened, and nothing that opens a door."""

import io
from collections.abc import Iterator

import pytest
import structlog

from starwire import telemetry


@pytest.fixture(autouse=True)
def _restore() -> Iterator[None]:
    before = structlog.get_config()
    yield
    structlog.configure(**before)


@pytest.mark.parametrize("json", [False, True])
def test_a_traceback_in_the_log_shows_no_values(json: bool) -> None:
    log = io.StringIO()
    telemetry.configure_logs(json=json, to=log)
    token = "eyJhbGciOi" + "JIUzI1NiJ9"
    try:
        raise RuntimeError(f"a token of {len(token)} characters")
    except RuntimeError:
        structlog.get_logger("test").exception("handler_failed", player="ann")
    text = log.getvalue()
    assert "handler_failed" in text
    assert "Traceback" in text
    assert "a token of 20 characters" in text
    assert token not in text


def test_a_log_level_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="log level 'loud' is unknown"):
        telemetry.configure_logs(level="loud")
