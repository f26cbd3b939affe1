"""One piece of work from the command to the push, by what each part shows of itself; and how a login ends."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

from websockets.asyncio.client import connect

from starwire.client import Client, guest
from starwire.client.accounts import login, logout, register
from starwire.clock import to_micros
from starwire.engines.distributed import messages
from starwire.process import partition_of
from tests.contract.harness import Client as Socket
from tests.distributed.conftest import Rows
from tests.distributed.watching import (
    WHOLE,
    CeleryEvents,
    Eavesdropper,
    Task,
    command_tasks,
    due_tasks,
    eventually,
)
from tests.services import Cluster

PARTITIONS = 16
A_FEW_SECONDS = 4.0


@asynccontextmanager
async def at_both_gateways(cluster: Cluster) -> AsyncIterator[list[Client]]:
    """One player with a page at each gateway."""
    tokens = await guest(cluster.urls[0])
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(Client(url, tokens=tokens)) for url in cluster.urls]


def partition_of_player(client: Client) -> int:
    return partition_of(f"player:{client.player}", PARTITIONS)


def steps(tasks: list[Task]) -> set[str]:
    """What happened to the only task of these."""
    assert len(tasks) < 2, [task.events for task in tasks]
    return {step for task in tasks for step in task.steps}


async def test_a_command_becomes_a_row_a_delayed_task_a_message_and_a_push_on_every_gateway(
    cluster: Cluster, rows: Rows
) -> None:
    async with at_both_gateways(cluster) as (here, there), Eavesdropper.on(cluster.valkey.url) as ears:
        with CeleryEvents(cluster.valkey.url) as events:
            started = await here.command("plant", seconds=1.5, kind="pear")
            stream, due_at = f"player:{here.player}", datetime.fromisoformat(started["due_at"])
            partition = partition_of_player(here)

            # A Celery task carried the command to a worker…
            await eventually(lambda: steps(command_tasks(events, "plant")) >= WHOLE, "starwire.commands")
            (carrier,) = command_tasks(events, "plant")
            assert carrier.eta is None

            # …which wrote a row…
            (row,) = rows("SELECT * FROM starwire_process WHERE id = %s", started["process"])
            assert (row["kind"], row["state"], row["owner"]) == ("ripen", "pending", here.player)
            assert (row["due_at"], row["run_at"]) == (to_micros(due_at), to_micros(due_at))
            assert row["partition"] == partition

            # …and sent one delayed task, with the due time as its ETA.
            (task,) = await eventually(lambda: due_tasks(events, due_at, partition), "starwire.due")
            assert "started" not in task.steps, "before its time"

            # When that ran, all were told: who listens to pub/sub, and the page at each gateway.
            pushes = [await client.wait_for("ripe") for client in (here, there)]
            heard = await eventually(lambda: ears.of(messages.STREAM + stream, "ripe"), "the message")
            await eventually(lambda: steps(due_tasks(events, due_at, partition)) >= WHOLE, "its success")
    assert pushes[0] == pushes[1]
    assert pushes[0].at == due_at, "its time is when it was due"
    assert [each.offset for each in heard] == [pushes[0].offset]
    assert json.loads(heard[0].frame)["data"] == pushes[0].data == {"apples": 3}
    assert rows("SELECT state FROM starwire_finished WHERE id = %s", started["process"]) == [
        {"state": "completed"}
    ]


async def test_what_was_cancelled_before_its_eta_is_found_cancelled_and_nothing_is_published(
    cluster: Cluster, rows: Rows
) -> None:
    async with at_both_gateways(cluster) as (here, there), Eavesdropper.on(cluster.valkey.url) as ears:
        with CeleryEvents(cluster.valkey.url) as events:
            started = await here.command("plant", seconds=1)
            stream, due_at = f"player:{here.player}", datetime.fromisoformat(started["due_at"])
            partition = partition_of_player(here)
            assert await here.command("fell", tree=started["process"]) is True
            await there.wait_for("process_cancelled")
            before = [each.event for where, each in ears.heard if where.endswith(stream)]
            await eventually(lambda: steps(due_tasks(events, due_at, partition)) >= WHOLE, "starwire.due")
            await here.command("ping")
    assert [each.event for where, each in ears.heard if where.endswith(stream)] == before
    assert before == ["process_started", "process_cancelled"]
    assert rows("SELECT state FROM starwire_finished WHERE id = %s", started["process"]) == [
        {"state": "cancelled"}
    ]
    assert rows("SELECT * FROM trees WHERE player = %s", here.player) == [], "no effect"


async def test_with_every_message_deleted_before_the_eta_the_push_still_comes_within_a_few_seconds(
    cluster: Cluster, rows: Rows
) -> None:
    async with at_both_gateways(cluster) as (here, there):
        started = await here.command("plant", seconds=1.5)
        due_at = datetime.fromisoformat(started["due_at"])
        for number in (1, 2):  # a worker holds delayed tasks in its memory: that is lost too
            cluster.kill("worker", number)
        cluster.valkey.flush()
        await asyncio.to_thread(cluster.start)
        cluster.valkey.flush()
        again = max(due_at, here.now())
        pushes = [await client.wait_for("ripe") for client in (here, there)]
        late = here.now() - again
    assert pushes[0] == pushes[1]
    assert pushes[0].at == due_at
    assert late < timedelta(seconds=A_FEW_SECONDS), f"{late} late"
    assert rows("SELECT apples FROM trees WHERE player = %s", here.player) == [{"apples": 3}], "once"


async def page(url: str, tokens: dict[str, Any]) -> Socket:
    """A page that has said hello."""
    client = Socket(await connect(f"ws{url.removeprefix('http')}/ws"), tokens["player"])
    client.read()
    await client.command("hello", token=tokens["access_token"])
    return client


async def test_who_signs_out_at_one_gateway_is_put_out_of_both(cluster: Cluster) -> None:
    first, second = cluster.urls
    named = await register(first, "Ada", "correct horse", access_token=(await guest(first))["access_token"])
    phone = await login(second, "Ada", "correct horse")
    pages = [await page(url, named) for url in (first, second, first)]
    others = [await page(url, phone) for url in (first, second)]
    await logout(second, named["refresh_token"])
    for client in pages:
        assert await client.told_to_leave() == (4403, "the session was revoked")
    for client in others:
        await client.command("ping")
    late = Socket(await connect(f"ws{first.removeprefix('http')}/ws"), "late")
    late.read()
    await late.send(json.dumps({"id": "h", "command": "hello", "args": {"token": named["access_token"]}}))
    assert (await late.told_to_leave())[0] == 4403
    for client in others:
        await client.leave()
