"""Settings: ``STARWIRE_…`` in the environment, overridden by the command line, checked before all else.

Every mistake is a ``ConfigurationError`` of one line: the setting, what it was, and what would be right.
Every bound of ``limits.py`` is a setting too, ``STARWIRE_<ITS NAME>``.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, get_origin, get_type_hints

import msgspec

from starwire.errors import ConfigurationError
from starwire.gateway.origin import ANY_HOST, normal
from starwire.limits import Limits
from starwire.openid import OpenID

PREFIX = "STARWIRE_"
LOG_LEVELS = ("debug", "info", "warning", "error")
NOT_OURS = frozenset({"STARWIRE_SEED"})  # of the tests
_HOST = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?")
_TRUE, _FALSE = frozenset({"1", "true", "yes", "on"}), frozenset({"", "0", "false", "no", "off"})
Read = Callable[[str], Any]


class _Wrong(ValueError):
    """What would have been right, as the end of a sentence."""


def _text(text: str) -> str:
    if not text.strip():
        raise _Wrong("a text that is not empty")
    return text.strip()


def _optional(text: str) -> str | None:
    return text.strip() or None


def _path(text: str) -> Path:
    return Path(_text(text)).expanduser()


def _switch(text: str) -> bool:
    lower = text.strip().lower()
    if lower not in _TRUE | _FALSE:
        raise _Wrong("1 or 0")
    return lower in _TRUE


def _whole(least: int, most: int) -> Read:
    def read(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = least - 1
        if not least <= value <= most:
            raise _Wrong(f"a whole number from {least} to {most}")
        return value

    return read


def _level(text: str) -> str:
    level = text.strip().lower()
    if level not in LOG_LEVELS:
        raise _Wrong(f"one of {', '.join(LOG_LEVELS)}")
    return level


def _origins(text: str) -> tuple[str, ...]:
    origins = []
    for each in text.split(","):
        if each.strip():
            origin = normal(each)
            if origin is None:
                raise _Wrong("origins like https://play.example.com, separated by commas; no path, no *")
            origins.append(origin)
    return tuple(origins)


def _hosts(text: str) -> tuple[str, ...]:
    hosts = tuple(each.strip() for each in text.split(",") if each.strip())
    if any(each != ANY_HOST and not _HOST.fullmatch(each) for each in hosts):
        raise _Wrong("names like play.example.com, separated by commas; no scheme, no port; * for any")
    return tuple(each.lower() for each in hosts)


def _words(text: str) -> tuple[str, ...]:
    return tuple(each.strip() for each in text.split(",") if each.strip())


def _networks(text: str) -> tuple[str, ...]:
    networks = [each.strip() for each in text.split(",") if each.strip()]
    try:
        return tuple(str(ip_network(each, strict=False)) for each in networks)
    except ValueError:
        raise _Wrong("addresses or networks like 10.0.0.0/8, separated by commas") from None


@dataclass(frozen=True, slots=True)
class _As:
    """How the text of a setting is read, and what it means."""

    read: Read
    meaning: str


@dataclass(frozen=True)
class Settings:
    """What a server is told. Made by ``load``; the fields are the settings ``STARWIRE_<NAME>``."""

    host: Annotated[str, _As(_text, "address to listen on; 0.0.0.0 for all")] = "127.0.0.1"
    port: Annotated[int, _As(_whole(0, 65_535), "port to listen on; 0 for any that is free")] = 8000
    data: Annotated[Path, _As(_path, "folder for the database and the signing secret")] = Path(".starwire")
    database: Annotated[
        str | None, _As(_optional, "URL of a database; without one, SQLite in the data folder")
    ] = None
    broker: Annotated[str | None, _As(_optional, "URL of a Redis or Valkey, for the distributed engine")] = (
        None
    )
    origins: Annotated[
        tuple[str, ...], _As(_origins, "other origins whose pages may connect, comma-separated")
    ] = ()
    hosts: Annotated[
        tuple[str, ...], _As(_hosts, "names under which pages reach this server, comma-separated")
    ] = ()
    metrics_token: Annotated[str | None, _As(_optional, "lets who shows it read /metrics from elsewhere")] = (
        None
    )
    trusted_proxies: Annotated[
        tuple[str, ...], _As(_networks, "proxies whose X-Forwarded headers are believed, comma-separated")
    ] = ()
    openid_issuer: Annotated[
        str | None,
        _As(_optional, "an OpenID provider whose tokens are taken; without one, built-in accounts"),
    ] = None
    openid_audience: Annotated[
        tuple[str, ...], _As(_words, "what its tokens are for: the client id, or several, comma-separated")
    ] = ()
    openid_keys: Annotated[
        str | None, _As(_optional, "where it publishes its keys; without it, what it says by discovery")
    ] = None
    app: Annotated[str, _As(_text, "the app, MODULE:APP")] = "app:app"
    partitions: Annotated[int, _As(_whole(1, 1024), "buckets of keys; fixed when the database is made")] = 16
    dev: Annotated[bool, _As(_switch, "create missing tables, serve /dev")] = False
    log_level: Annotated[str, _As(_level, f"one of {', '.join(LOG_LEVELS)}")] = "info"
    log_json: Annotated[bool, _As(_switch, "log JSON lines")] = False
    limits: Limits = field(default_factory=Limits)

    @property
    def openid(self) -> OpenID | None:
        """The provider that the settings name.

        Raises:
            ConfigurationError: half of it is missing, or it is not usable.
        """
        if self.openid_issuer is None:
            if self.openid_audience or self.openid_keys:
                raise ConfigurationError("STARWIRE_OPENID_ISSUER is missing: whose tokens are to be taken?")
            return None
        if not self.openid_audience:
            raise ConfigurationError(
                "STARWIRE_OPENID_AUDIENCE is missing: the client id by which the provider knows this game"
            )
        return OpenID(issuer=self.openid_issuer, audience=self.openid_audience, jwks_url=self.openid_keys)

    @property
    def sqlite(self) -> Path:
        """The embedded engine's database."""
        return self.data / "starwire.db"

    @property
    def server_file(self) -> Path:
        """Where a running server says its address: ``{"url": …, "pid": …}``."""
        return self.data / "server.json"

    @property
    def cluster_file(self) -> Path:
        """Where a running ``starwire cluster`` says what it is made of."""
        return self.data / "cluster.json"

    @property
    def lock_file(self) -> Path:
        """What a running server holds locked."""
        return self.data / "lock"


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting, for help texts."""

    name: str
    default: str
    meaning: str


def known() -> list[Setting]:
    """Every setting that is not a limit, with its default."""
    return [
        Setting(_variable(name), _shown(getattr(Settings, name)), each.meaning)
        for name, each in _readers().items()
    ]


def known_limits() -> list[Setting]:
    """Every limit, with its default; ``limits.py`` has the reasons."""
    return [
        Setting(_variable(each.name), _shown(each.default), "") for each in msgspec.structs.fields(Limits)
    ]


def load(environ: Mapping[str, str], **overrides: Any) -> tuple[Settings, list[str]]:
    """Read the settings.

    Args:
        environ: the environment; only ``STARWIRE_…`` is looked at.
        overrides: fields of ``Settings`` from the command line; None means not given.

    Returns:
        The settings, and a line of warning for each variable that is no setting.

    Raises:
        ConfigurationError: a value is wrong, or names an engine that is not there.
    """
    values: dict[str, Any] = {}
    for name, each in _readers().items():
        given = overrides.get(name)
        if given is None:
            given = environ.get(_variable(name))
        if given is not None:
            values[name] = _read(_variable(name), given, each.read)
    settings = Settings(**values, limits=_limits(environ))
    _refuse_what_is_missing(settings)
    return settings, _unknown(environ)


def _readers() -> dict[str, _As]:
    """Every setting that is not a limit."""
    hints = get_type_hints(Settings, include_extras=True)
    return {name: hint.__metadata__[0] for name, hint in hints.items() if get_origin(hint) is Annotated}


def _read(variable: str, given: Any, read: Read) -> Any:
    text = ("1" if given else "0") if isinstance(given, bool) else str(given)
    try:
        return read(text)
    except _Wrong as right:
        raise ConfigurationError(f"{variable} is {text!r}; it must be {right}") from None


def _limits(environ: Mapping[str, str]) -> Limits:
    values: dict[str, int | float] = {}
    for each in msgspec.structs.fields(Limits):
        variable = _variable(each.name)
        if variable not in environ:
            continue
        whole = isinstance(each.default, int)
        try:
            number: int | float = int(environ[variable]) if whole else float(environ[variable])
        except ValueError:
            number = -1
        if not 0 < number < float("inf"):
            kind = "whole number" if whole else "number"
            raise ConfigurationError(
                f"{variable} is {environ[variable]!r}; it must be a {kind} above 0 (default {each.default})"
            )
        values[each.name] = number
    return Limits(**values)  # type: ignore[arg-type]


def _refuse_what_is_missing(settings: Settings) -> None:
    _ = settings.openid  # raises where it is not whole
    if settings.broker is not None and settings.database is None:
        raise ConfigurationError(
            f"STARWIRE_BROKER is {without_password(settings.broker)!r}, which asks for the distributed"
            " engine; it needs STARWIRE_DATABASE=postgresql://… too"
        )
    if settings.database is not None and settings.broker is None:
        raise ConfigurationError(
            f"STARWIRE_DATABASE is {without_password(settings.database)!r}, which asks for the distributed"
            " engine; it needs STARWIRE_BROKER=redis://… too. Without both, data is kept in SQLite below"
            " STARWIRE_DATA"
        )


def without_password(url: str) -> str:
    """A URL as it may be shown."""
    scheme, separator, rest = url.partition("://")
    credentials, at, host = rest.rpartition("@")
    user, colon, _ = credentials.partition(":")
    return f"{scheme}{separator}{user}{colon and ':…'}{at}{host}"


def _unknown(environ: Mapping[str, str]) -> list[str]:
    names = [each.name for each in (*known(), *known_limits())]
    warnings = []
    for variable in sorted(environ):
        if variable.startswith(PREFIX) and variable not in names and variable not in NOT_OURS:
            nearest = difflib.get_close_matches(variable, names, n=1, cutoff=0.0)
            warnings.append(f"{variable} is no setting; did you mean {nearest[0]}?")
    return warnings


def _variable(name: str) -> str:
    return PREFIX + name.upper()


def _shown(default: Any) -> str:
    if isinstance(default, bool):
        return "1" if default else "0"
    return "none" if default in (None, ()) else str(default)
