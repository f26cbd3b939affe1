"""Settings: from the environment, overridden by the command line, and every mistake in one line."""

from pathlib import Path
from typing import Any

import pytest

from starwire.config import Settings, known, known_limits, load
from starwire.errors import ConfigurationError
from starwire.limits import Limits


def test_without_anything_there_are_defaults() -> None:
    settings, warnings = load({"PATH": "/bin", "HOME": "/"})
    assert settings == Settings()
    assert (settings.host, settings.port, settings.data, settings.partitions) == (
        "127.0.0.1",
        8000,
        Path(".starwire"),
        16,
    )
    assert not warnings


def test_the_environment_is_read_and_the_command_line_wins() -> None:
    environ = {
        "STARWIRE_HOST": "0.0.0.0",
        "STARWIRE_PORT": "9000",
        "STARWIRE_DATA": "~/dragons",
        "STARWIRE_DEV": "yes",
        "STARWIRE_ORIGINS": "https://Play.example.com:443, http://localhost:3000",
        "STARWIRE_TRUSTED_PROXIES": "10.0.0.1/8,::1",
        "STARWIRE_HOSTS": "Play.example.com, box_1",
        "STARWIRE_METRICS_TOKEN": " s3cret ",
        "STARWIRE_LOG_LEVEL": "DEBUG",
        "STARWIRE_ACCESS_SECONDS": "60",
        "STARWIRE_HELLO_SECONDS": "2.5",
    }
    settings, warnings = load(environ, port="8001", host=None)
    assert (settings.host, settings.port, settings.dev) == ("0.0.0.0", 8001, True)
    assert settings.data == Path("~/dragons").expanduser()
    assert settings.origins == ("https://play.example.com", "http://localhost:3000")
    assert settings.trusted_proxies == ("10.0.0.0/8", "::1/128")
    assert settings.hosts == ("play.example.com", "box_1")
    assert settings.metrics_token == "s3cret"
    assert settings.log_level == "debug"
    assert (settings.limits.access_seconds, settings.limits.hello_seconds) == (60, 2.5)
    assert not warnings


@pytest.mark.parametrize(
    ("name", "value", "right"),
    [
        ("PORT", "eighty", "a whole number from 0 to 65535"),
        ("PORT", "70000", "a whole number from 0 to 65535"),
        ("PARTITIONS", "0", "a whole number from 1 to 1024"),
        ("DEV", "maybe", "1 or 0"),
        ("LOG_LEVEL", "loud", "one of debug, info, warning, error"),
        ("HOST", " ", "a text that is not empty"),
        ("ORIGINS", "*", "origins like https://play.example.com"),
        ("ORIGINS", "https://play.example.com/path", "no path, no *"),
        ("HOSTS", "https://play.example.com", "names like play.example.com"),
        ("HOSTS", "play.example.com:443", "no scheme, no port; * for any"),
        ("HOSTS", "*.example.com", "* for any"),
        ("TRUSTED_PROXIES", "proxy", "addresses or networks like 10.0.0.0/8"),
        ("ATTEMPTS", "2.5", "a whole number above 0 (default 8)"),
        ("BATCH_SECONDS", "nan", "a number above 0 (default 0.05)"),
        ("BEAT_SECONDS", "-1", "a number above 0 (default 5.0)"),
    ],
)
def test_a_wrong_value_is_one_line_with_the_setting_the_value_and_what_is_right(
    name: str, value: str, right: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load({f"STARWIRE_{name}": value})
    line = str(caught.value)
    assert line.startswith(f"STARWIRE_{name} is {value!r}; it must be ")
    assert right in line
    assert "\n" not in line


def test_limits_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="beat_seconds must be below beat_late_seconds"):
        load({"STARWIRE_BEAT_SECONDS": "60"})


@pytest.mark.parametrize(
    ("name", "url"), [("BROKER", "redis://localhost"), ("DATABASE", "postgresql://ann:secret@localhost/game")]
)
def test_half_of_the_distributed_engine_is_refused_without_telling_passwords(name: str, url: str) -> None:
    with pytest.raises(ConfigurationError, match=f"STARWIRE_{name} is .* it needs STARWIRE_") as caught:
        load({f"STARWIRE_{name}": url})
    assert "secret" not in str(caught.value)


def test_a_variable_that_is_no_setting_is_warned_of_with_the_nearest_that_is() -> None:
    _, warnings = load({"STARWIRE_PROT": "1", "STARWIRE_ACCES_SECONDS": "1", "STARWIRE_SEED": "7"})
    assert warnings == [
        "STARWIRE_ACCES_SECONDS is no setting; did you mean STARWIRE_ACCESS_SECONDS?",
        "STARWIRE_PROT is no setting; did you mean STARWIRE_PORT?",
    ]


def test_every_setting_and_every_limit_can_be_shown_with_its_default() -> None:
    settings = {each.name: each for each in known()}
    assert settings["STARWIRE_PORT"].default == "8000"
    assert settings["STARWIRE_ORIGINS"].default == "none"
    assert settings["STARWIRE_DEV"].default == "0"
    assert all(each.meaning for each in settings.values())
    limits: dict[str, Any] = {each.name: each.default for each in known_limits()}
    assert limits["STARWIRE_ATTEMPTS"] == str(Limits().attempts)
