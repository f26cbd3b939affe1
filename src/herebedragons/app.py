"""The game, wired: everything that `starwire play` serves. Importing it declares, and does nothing else."""

from __future__ import annotations

from pathlib import Path

import starwire
from herebedragons import events
from herebedragons.play.building import building
from herebedragons.play.charts import charts
from herebedragons.play.crew import crew
from herebedragons.play.danger import danger
from herebedragons.play.exploring import exploring
from herebedragons.store import tables

app = starwire.App(
    "herebedragons",
    tables=tables,
    migrations="herebedragons:migrations",
    static=Path(__file__).parent / "web",
)

for module in (crew, building, exploring, danger, charts):
    app.include(module)

for event in (
    events.UniverseOpened,
    events.UniverseClosed,
    events.UniverseCreated,
    events.MemberJoined,
    events.MemberLeft,
    events.ConstructionQueued,
    events.ConstructionBegun,
    events.ConstructionComplete,
    events.ConstructionCancelled,
    events.StarsDiscovered,
    events.ProbeSent,
    events.ProbeArrived,
    events.DragonsInbound,
    events.DragonsRepelled,
    events.DragonsRaided,
    events.PlanetRenamed,
):
    app.event(event)
