"""Schemas and TypeScript come from the annotations, and TypeScript's own compiler agrees."""

import subprocess
from datetime import datetime
from pathlib import Path
from typing import Literal

import msgspec
import pytest

import starwire
from starwire import system
from starwire.schema import declarations, describe, typescript
from tests.unit.test_javascript import typescript as compiler


class Place(msgspec.Struct):
    """Where."""

    x: int
    y: float | None = None


class Go(starwire.Command, frozen=True):
    """Go somewhere, or */ nowhere."""

    to: Place
    how: Literal["walk", "fly"] = "walk"
    tags: tuple[str | int, ...] = ()


class Gone(starwire.Event, frozen=True):
    places: dict[str, Place]
    at: datetime
    pair: tuple[int, str] = (0, "")


class Travel(starwire.Process, frozen=True):
    public = ("to",)

    to: Place
    secret: str


class Where(starwire.View, frozen=True):
    pass


class Mystery:
    pass


def go(tx: starwire.Transaction, player: str, order: Go) -> starwire.Started:
    """Start a journey."""
    raise NotImplementedError


def travel(tx: starwire.Transaction, job: Travel) -> None:
    """Arrive."""


def where(read: starwire.Read, player: str, ask: Where) -> Place | None:
    return None


@pytest.fixture
def registry() -> starwire.app.Registry:
    app = starwire.App("journey")
    app.command(go)
    app.process(travel)
    app.view(where)
    return app.registry(system.module)


def test_events_are_found_beside_the_handlers_without_being_declared(registry: starwire.app.Registry) -> None:
    assert "gone" in describe(registry)["events"]
    assert "announcement" in describe(registry)["events"]


def test_only_the_public_fields_of_a_process_are_declared(registry: starwire.app.Registry) -> None:
    text = declarations(registry)
    assert "travel: TravelProcess;" in text
    assert "secret" not in text


def test_what_only_the_server_submits_is_nobodys_business(registry: starwire.app.Registry) -> None:
    assert {"heartbeat", "revoke_session"}.isdisjoint(describe(registry)["commands"])
    assert "heartbeat" not in declarations(registry)


def test_a_type_without_a_schema_is_unknown_and_no_failure() -> None:
    def odd(read: starwire.Read, player: str, ask: Where) -> Mystery:
        return Mystery()

    app = starwire.App("odd")
    app.view(odd)
    registry = app.registry()
    assert describe(registry)["views"]["where"]["result"] == {}
    assert "where: { args: Where; result: unknown };" in declarations(registry)


@pytest.mark.parametrize(
    ("of", "written"),
    [
        (int | None, "number | null"),
        (list[int | str], "(number | string)[]"),
        (dict[str, list[bool]], "Record<string, boolean[]>"),
        (tuple[int, str], "[number, string]"),
        (Literal["a", "b"], '"a" | "b"'),
        (datetime, "string"),
    ],
)
def test_each_kind_of_type_is_written_as_typescript_has_it(of: type, written: str) -> None:
    assert typescript(msgspec.json.schema(of)) == written


@pytest.mark.node
@pytest.mark.timeout(180)
def test_the_declarations_mean_in_typescript_what_they_mean_here(
    registry: starwire.app.Registry, tmp_path: Path
) -> None:
    (tmp_path / "journey.d.ts").write_text(declarations(registry))
    (tmp_path / "page.ts").write_text(
        """
        import type { Commands, Events, Processes, Views } from "./journey";
        const order: Commands["go"]["args"] = { to: { x: 1 }, how: "fly", tags: ["a", 1] };
        const started: Commands["go"]["result"]["process"] = 5;
        const gone: Events["gone"] = { places: { home: { x: 1, y: null } }, at: "2030-01-01T00:00:00Z" };
        const here: Views["where"]["result"] = null;
        const on: Processes["travel"] = { to: { x: 1 } };
        // @ts-expect-error: no such way to go
        const wrong: Commands["go"]["args"] = { to: { x: 1 }, how: "swim" };
        // @ts-expect-error: a place has an x
        const nowhere: Commands["go"]["args"] = { to: {} };
        export { gone, here, nowhere, on, order, started, wrong };
        """
    )
    command = [*compiler(), "--noEmit", "--strict", "--target", "es2022", "--module", "nodenext", "page.ts"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=150, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
