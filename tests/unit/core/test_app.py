"""What an app declares is checked once, and every mistake is one line that names the places."""

import re
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

import starwire
from starwire import ConfigurationError, Transaction
from starwire.kinds import wire_name


class Plant(starwire.Command, frozen=True):
    seconds: int = 60


class Ripen(starwire.Process, frozen=True):
    tree: int = 0


class Look(starwire.View, frozen=True):
    pass


def plant(tx: Transaction, player: str, order: Plant) -> None: ...
def ripen(tx: Transaction, job: Ripen) -> None: ...
def look(read: starwire.Read, player: str, ask: Look) -> int:
    return 0


def refusal(app: starwire.App) -> str:
    with pytest.raises(ConfigurationError) as caught:
        app.registry()
    line = str(caught.value)
    assert "\n" not in line
    return line


def places(line: str) -> list[str]:
    return re.findall(r"test_app\.py:(\d+)", line)


def test_a_wire_name_is_the_class_name_in_snake_case_unless_it_names_another() -> None:
    class BuildHTTPMine2(starwire.Command, frozen=True): ...

    class Other(starwire.Command, frozen=True):
        wire_name = "dig"

    assert (wire_name(BuildHTTPMine2), wire_name(Other)) == ("build_http_mine2", "dig")


def test_handlers_are_found_under_their_wire_names() -> None:
    app = starwire.App("orchard")
    app.command(plant)
    app.process(ripen)
    app.view(look)
    registry = app.registry()
    assert registry.commands["plant"].struct is Plant
    assert registry.processes["ripen"].struct is Ripen
    assert registry.views["look"].result is int
    assert registry.process_names[Ripen] == "ripen"


def test_a_modules_handlers_are_the_apps() -> None:
    app, fleet = starwire.App("orchard"), starwire.Module("fleet")
    fleet.command(requires="operator")(plant)
    app.include(fleet)
    assert app.registry().commands["plant"].requires == "operator"


def test_two_commands_of_one_name_are_refused_with_both_places() -> None:
    app, fleet = starwire.App("orchard"), starwire.Module("fleet")
    app.command(plant)

    @fleet.command
    def again(tx: Transaction, player: str, order: Plant) -> None: ...

    app.include(fleet)
    line = refusal(app)
    assert "'plant'" in line
    assert len(set(places(line))) == 2, line


def test_a_view_and_a_command_cannot_share_a_name() -> None:
    class Look(starwire.Command, frozen=True): ...

    app = starwire.App("orchard")
    app.view(look)

    @app.command
    def look_around(tx: Transaction, player: str, order: Look) -> None: ...

    app.command(look_around)
    assert len(places(refusal(app))) == 2


def test_two_processes_of_one_name_are_refused_with_both_places() -> None:
    app = starwire.App("orchard")
    app.process(ripen)

    @app.process
    def again(tx: Transaction, job: Ripen) -> None: ...

    line = refusal(app)
    assert "process 'ripen'" in line
    assert len(set(places(line))) == 2, line


def test_two_events_of_one_name_are_refused_with_both_classes() -> None:
    app = starwire.App("orchard")

    @app.event
    class Ripe(starwire.Event, frozen=True):
        apples: int

    @app.event
    class Overripe(starwire.Event, frozen=True):
        wire_name = "ripe"

    line = refusal(app)
    assert "'ripe'" in line
    assert "Ripe" in line
    assert "Overripe" in line


def test_an_event_declared_twice_is_one_event() -> None:
    app = starwire.App("orchard")

    class Ripe(starwire.Event, frozen=True): ...

    app.event(Ripe)
    app.event(Ripe)
    assert app.registry().events == {"ripe": Ripe}


@pytest.mark.parametrize("name", ["hello", "refresh", "ping", "processes"])
def test_the_names_of_the_built_in_commands_are_taken(name: str) -> None:
    class Named(starwire.Command, frozen=True):
        wire_name = name

    app = starwire.App("orchard")

    def handler(tx: Transaction, player: str, order: Any) -> None: ...

    handler.__annotations__["order"] = Named
    app.command(handler)
    line = refusal(app)
    assert repr(name) in line
    assert "built-in" in line


def command_without_annotation(tx: Transaction, player: str, order) -> None: ...  # type: ignore[no-untyped-def]
def command_of_a_process(tx: Transaction, player: str, order: Ripen) -> None: ...
def command_of_an_int(tx: Transaction, player: str, order: int) -> None: ...
def command_of_nobody(tx: Transaction, player: str, order: "Nobody") -> None: ...  # type: ignore[name-defined]  # noqa: F821
def command_of_two(tx: Transaction, order: Plant) -> None: ...
async def command_that_waits(tx: Transaction, player: str, order: Plant) -> None: ...


@pytest.mark.parametrize(
    ("handler", "says"),
    [
        (command_without_annotation, "annotate 'order' with a subclass of starwire.Command"),
        (command_of_a_process, "annotate 'order' with a subclass of starwire.Command"),
        (command_of_an_int, "not <class 'int'>"),
        (command_of_nobody, "unknown annotation: name 'Nobody' is not defined"),
        (command_of_two, "not 2 parameters"),
        (command_that_waits, "is async; handlers are plain functions"),
    ],
)
def test_a_wrong_handler_is_refused_with_its_place(handler: Callable[..., Any], says: str) -> None:
    app = starwire.App("orchard")
    app.command(handler)
    line = refusal(app)
    assert says in line
    assert handler.__name__ in line
    assert places(line) == [str(handler.__code__.co_firstlineno)]


def test_a_public_field_that_is_none_is_refused() -> None:
    class Grow(starwire.Process, frozen=True):
        public = ("tree", "height")
        tree: int = 0

    app = starwire.App("orchard")

    @app.process
    def grow(tx: Transaction, job: Grow) -> None: ...

    line = refusal(app)
    assert "Grow.public names 'height'" in line
    assert places(line)


def test_a_command_that_is_submitted_where_no_server_runs_says_so() -> None:
    app = starwire.App("orchard")
    with pytest.raises(ConfigurationError, match=r"orchard: app\.submit works in the OS process"):
        app.submit("ann", Plant()).send(None)


# Growing: processes of older versions


class Build(starwire.Process, frozen=True):
    version = 3
    structure: str
    levels: int = 1


@Build.upgrade(1)
def renamed(old: dict[str, Any]) -> dict[str, Any]:
    return {"structure": old["building"]}


@Build.upgrade(2)
def counted(old: dict[str, Any]) -> dict[str, Any]:
    return {**old, "levels": 2}


def build(tx: Transaction, job: Build) -> None: ...


def kind() -> Any:
    app = starwire.App("orchard")
    app.process(build)
    return app.registry().processes["build"]


def test_data_of_an_older_version_is_brought_up_step_by_step() -> None:
    assert kind().decode(b'{"building":"mine"}', 1) == Build("mine", 2)
    assert kind().decode(b'{"structure":"mine"}', 2) == Build("mine", 2)
    assert kind().decode(b'{"structure":"mine"}', 3) == Build("mine", 1)


def test_a_field_that_was_added_with_a_default_needs_no_version() -> None:
    assert kind().decode(b'{"structure":"mine"}', 3).levels == 1
    assert kind().decode(b'{"structure":"mine","unknown":1}', 3) == Build("mine", 1)


def test_data_of_a_newer_version_than_the_code_is_refused_in_one_line() -> None:
    with pytest.raises(ConfigurationError, match="build: version 4 is newer than this code's 3"):
        kind().decode(b"{}", 4)


def test_a_missing_upgrade_is_named() -> None:
    class Dig(starwire.Process, frozen=True):
        version = 2

    app = starwire.App("orchard")

    @app.process
    def dig(tx: Transaction, job: Dig) -> None: ...

    with pytest.raises(ConfigurationError, match=r"process dig: Dig\.upgrade\(1\) is missing"):
        app.registry().processes["dig"].decode(b"{}", 1)


def test_data_that_does_not_fit_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError):
        kind().decode(b"{}", 3)
    with pytest.raises(msgspec.ValidationError):
        kind().decode(b'{"building":7}', 1)


def test_the_upgrades_of_one_process_are_not_anothers() -> None:
    assert set(Build.upgrades) == {1, 2}
    assert not starwire.Process.upgrades
    assert not Ripen.upgrades
