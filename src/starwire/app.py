"""What an App is made of: its commands, processes and views, and where each was declared.

``App`` and ``Module`` collect handlers as decorators meet them; nothing is checked or imported then.
``App.registry()`` resolves annotations, checks names, and gives the ``Registry`` that everything else
reads. Every mistake is a ``ConfigurationError`` of one line that names both places.

Next hop: ``transaction.py`` is what the handlers get; ``executor.py`` calls them.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, overload

import msgspec
from sqlalchemy import MetaData

from starwire import kinds
from starwire.errors import ConfigurationError
from starwire.identity import Identity
from starwire.openid import OpenID
from starwire.protocol import BUILT_IN

Handler = Callable[..., Any]
H = TypeVar("H", bound=Handler)
Authenticate = Callable[[str], Awaitable[Identity]]
Submit = Callable[[str, kinds.Command, str | None], Awaitable[Any]]
SignOut = Callable[[str, str], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a handler was declared."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True)
class Declared:
    """A handler as its decorator met it."""

    handler: Handler
    requires: str | None
    place: Place


@dataclass(frozen=True, slots=True)
class CommandKind:
    """A command that the app knows: its struct, how to read it, and who carries it out."""

    name: str
    struct: type[kinds.Command]
    handler: Handler
    decoder: msgspec.json.Decoder[kinds.Command]
    result: Any
    requires: str | None
    place: Place


@dataclass(frozen=True, slots=True)
class ViewKind:
    """A view that the app knows."""

    name: str
    struct: type[kinds.View]
    handler: Handler
    decoder: msgspec.json.Decoder[kinds.View]
    result: Any
    requires: str | None
    place: Place


@dataclass(frozen=True, slots=True)
class ProcessKind:
    """A process that the app knows."""

    name: str
    struct: type[kinds.Process]
    handler: Handler
    decoder: msgspec.json.Decoder[kinds.Process]
    place: Place

    def decode(self, data: bytes, version: int) -> kinds.Process:
        """Read the data of a process, upgraded version by version where it is older.

        Raises:
            msgspec.ValidationError: the data does not fit the struct.
            ConfigurationError: an upgrade is missing, or the data is newer than this code.
        """
        current = self.struct.version
        if version == current:
            return self.decoder.decode(data)
        if version > current:
            raise ConfigurationError(
                f"process {self.name}: version {version} is newer than this code's {current}"
            )
        mapping = msgspec.json.decode(data)
        for step in range(version, current):
            upgrade = self.struct.upgrades.get(step)
            if upgrade is None:
                raise ConfigurationError(
                    f"process {self.name}: {self.struct.__name__}.upgrade({step}) is missing"
                )
            mapping = upgrade(mapping)
        return msgspec.convert(mapping, self.struct)


@dataclass(frozen=True)
class Registry:
    """Everything that an app declares, checked. Read-only after start."""

    name: str
    commands: dict[str, CommandKind]
    views: dict[str, ViewKind]
    processes: dict[str, ProcessKind]
    events: dict[str, type[kinds.Event]]
    tables: MetaData | None
    process_names: dict[type[kinds.Process], str] = field(default_factory=dict)

    def knows(self, process: str, version: int) -> bool:
        """Whether this code can run a process of this kind and version."""
        kind = self.processes.get(process)
        return kind is not None and version <= kind.struct.version


class Module:
    """A part of a game that declares handlers of its own; ``App.include`` joins it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.declared_commands: list[Declared] = []
        self.declared_processes: list[Declared] = []
        self.declared_views: list[Declared] = []
        self.declared_events: list[type[kinds.Event]] = []

    @overload
    def command(self, handler: H, /) -> H: ...
    @overload
    def command(self, /, *, requires: str | None = None) -> Callable[[H], H]: ...
    def command(self, handler: H | None = None, /, *, requires: str | None = None) -> H | Callable[[H], H]:
        """Declare the handler ``(tx, player, order) -> result`` of the command ``order`` is annotated with.

        ``requires`` names a claim that must be true in the player's token, for example ``"operator"``.
        """
        return _declare(self.declared_commands, handler, requires)

    @overload
    def view(self, handler: H, /) -> H: ...
    @overload
    def view(self, /, *, requires: str | None = None) -> Callable[[H], H]: ...
    def view(self, handler: H | None = None, /, *, requires: str | None = None) -> H | Callable[[H], H]:
        """Declare the handler ``(read, player, ask) -> result`` of the view ``ask`` is annotated with."""
        return _declare(self.declared_views, handler, requires)

    def process(self, handler: H, /) -> H:
        """Declare the handler ``(tx, job) -> None`` that completes the process ``job`` is annotated with."""
        _remember(self.declared_processes, handler, None)
        return handler

    def event(self, struct: type[E]) -> type[E]:
        """Declare an event, so that ``starwire types`` and ``starwire schema`` describe it. Optional."""
        self.declared_events.append(struct)
        return struct


E = TypeVar("E", bound=kinds.Event)


class App(Module):
    """One game: its handlers, its tables, and what else the server serves for it.

    Args:
        name: what logs and metrics call it.
        tables: the game's own tables; created under ``--dev``, or by its migrations.
        migrations: ``"package:folder"`` of the game's Alembic branch.
        auth: an ``OpenID`` provider, or any ``async (token) -> Identity``; when None the provider that the
            settings name, else the built-in accounts.
        routes: Starlette routes of one's own, before the built-in ones.
        static: a folder: its ``index.html`` is served at ``/``, its files under ``/static``.
    """

    def __init__(
        self,
        name: str,
        *,
        tables: MetaData | None = None,
        migrations: str | None = None,
        auth: Authenticate | OpenID | None = None,
        routes: Sequence[Any] = (),
        static: Path | None = None,
    ) -> None:
        super().__init__(name)
        self.tables = tables
        self.migrations = migrations
        self.auth = auth
        self.routes = tuple(routes)
        self.static = static
        self.modules: list[Module] = []
        self.submitter: Submit | None = None
        """How a running server takes commands from its own side; set by the server."""
        self.signer_out: SignOut | None = None
        """How a running server closes the connections of a login; set by the server."""

    async def submit(self, player: str, order: kinds.Command, *, id: str | None = None) -> Any:
        """Execute a command from the server's side (a web hook, cron) and return its decoded result.

        The same ``id`` within 24 hours gives the stored result again; the effect happens once.

        Raises:
            Rejected: the game refuses.
            Refused: the framework refuses, for example ``overloaded`` or ``internal``.
            ConfigurationError: no server runs this app in this OS process.
        """
        if self.submitter is None:
            raise ConfigurationError(f"{self.name}: app.submit works in the OS process that serves the app")
        return await self.submitter(player, order, id)

    async def sign_out(self, player: str, session: str) -> None:
        """Close every connection that came with this ``Identity.session``, on every gateway, with 4403.

        For an ``auth`` of one's own, after the login has ended there, so that nobody comes in with it again.
        The built-in accounts do it themselves.

        Raises:
            ConfigurationError: no server runs this app in this OS process.
        """
        if self.signer_out is None:
            raise ConfigurationError(f"{self.name}: app.sign_out works in the OS process that serves the app")
        await self.signer_out(player, session)

    def include(self, module: Module) -> None:
        """Join a module's handlers."""
        self.modules.append(module)

    def registry(self, *also: Module) -> Registry:
        """Check everything that was declared, here and in the modules given.

        Raises:
            ConfigurationError: two handlers of one name, or an annotation that is missing or wrong.
        """
        commands: dict[str, CommandKind] = {}
        views: dict[str, ViewKind] = {}
        processes: dict[str, ProcessKind] = {}
        events: dict[str, type[kinds.Event]] = {}
        taken: dict[str, Place | str] = dict.fromkeys(BUILT_IN, "a built-in command")
        for module in (*also, self, *self.modules):
            for declared in module.declared_commands:
                name, struct, result = _resolve(declared, kinds.Command, 3)
                _claim(taken, name, declared.place)
                decoder = msgspec.json.Decoder(struct)
                commands[name] = CommandKind(
                    name, struct, declared.handler, decoder, result, declared.requires, declared.place
                )
            for declared in module.declared_views:
                name, view, result = _resolve(declared, kinds.View, 3)
                _claim(taken, name, declared.place)
                views[name] = ViewKind(
                    name,
                    view,
                    declared.handler,
                    msgspec.json.Decoder(view),
                    result,
                    declared.requires,
                    declared.place,
                )
            for declared in module.declared_processes:
                name, job, _ = _resolve(declared, kinds.Process, 2)
                if name in processes:
                    raise ConfigurationError(
                        f"process {name!r} is declared twice: {processes[name].place} and {declared.place}"
                    )
                _check_public(job, declared.place)
                processes[name] = ProcessKind(
                    name, job, declared.handler, msgspec.json.Decoder(job), declared.place
                )
            for event in module.declared_events:
                name = kinds.wire_name(event)
                other = events.setdefault(name, event)
                if other is not event:
                    both = " and ".join(f"{each.__module__}.{each.__qualname__}" for each in (other, event))
                    raise ConfigurationError(f"event {name!r} is declared twice: {both}")
        return Registry(
            self.name,
            commands,
            views,
            processes,
            events,
            self.tables,
            {kind.struct: kind.name for kind in processes.values()},
        )


def _declare(into: list[Declared], handler: H | None, requires: str | None) -> H | Callable[[H], H]:
    if handler is not None:
        _remember(into, handler, requires)
        return handler

    def decorate(decorated: H) -> H:
        _remember(into, decorated, requires)
        return decorated

    return decorate


def _remember(into: list[Declared], handler: Handler, requires: str | None) -> None:
    code = inspect.unwrap(handler).__code__
    into.append(Declared(handler, requires, Place(code.co_filename, code.co_firstlineno)))


K = TypeVar("K", bound=kinds.Kind)


def _resolve(declared: Declared, base: type[K], arity: int) -> tuple[str, type[K], Any]:
    handler, place = declared.handler, declared.place
    if inspect.iscoroutinefunction(handler):
        raise ConfigurationError(f"{place}: {handler.__name__} is async; handlers are plain functions")
    parameters = list(inspect.signature(handler).parameters)
    shape = "(tx, job)" if arity == 2 else "(tx or read, player, order)"
    if len(parameters) != arity:
        raise ConfigurationError(
            f"{place}: {handler.__name__} takes {shape}, not {len(parameters)} parameters"
        )
    try:
        hints = typing.get_type_hints(handler)
    except NameError as error:
        raise ConfigurationError(f"{place}: {handler.__name__}: unknown annotation: {error}") from None
    struct = hints.get(parameters[-1])
    if not (isinstance(struct, type) and issubclass(struct, base)):
        raise ConfigurationError(
            f"{place}: {handler.__name__}: annotate {parameters[-1]!r} with a subclass of"
            f" starwire.{base.__name__}, not {struct!r}"
        )
    return kinds.wire_name(struct), struct, hints.get("return", Any)


def _claim(taken: dict[str, Place | str], name: str, place: Place) -> None:
    if name in taken:
        raise ConfigurationError(f"{name!r} is declared twice: {taken[name]} and {place}")
    taken[name] = place


def _check_public(job: type[kinds.Process], place: Place) -> None:
    fields = {each.encode_name for each in msgspec.structs.fields(job)}
    for name in job.public:
        if name not in fields:
            raise ConfigurationError(
                f"{place}: {job.__name__}.public names {name!r}, which is no field of it"
            )
