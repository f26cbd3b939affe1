"""Guarantee 10, of those who are in: what is granted or ended holds, also when the message of it is lost."""

import asyncio
from typing import cast

import pytest
from sqlalchemy import insert, update

from starwire.identity import Identity
from starwire.store import tables
from tests.contract import garden
from tests.contract.harness import Client, Engine, Gateway

OWN, UNIVERSE = "player:ann", "universe:1"
MICROSECONDS = 1_893_456_000_000_000


class Logins:
    """The garden's tokens, whose sessions can end."""

    def __init__(self) -> None:
        self.over: set[str] = set()

    async def __call__(self, token: str) -> Identity:
        return await garden.authenticate(token)

    async def is_live(self, identity: Identity) -> bool:
        return identity.session not in self.over


async def start(engine: Engine) -> Logins:
    """An engine whose logins can end."""
    app, logins = garden.build(), Logins()
    app.auth = logins
    await engine.start(app)
    return logins


async def shout(client: Client, count: int, stream: str) -> None:
    await client.command("shout", stream=stream, count=count)


async def compare_heads(engine: Engine) -> None:
    await cast(Gateway, engine).server.hub.compare_heads()


def publish_silently(engine: Engine, offset: int, event: str, data: str) -> None:
    """An event of Ann's own stream, as a worker commits it whose message is then lost."""
    row = {"stream": OWN, "offset": offset, "event": event, "at": MICROSECONDS, "data": data.encode()}
    engine.change(insert(tables.event).values(**row, message=None))
    change = {"head": offset}
    engine.change(
        insert(tables.stream).values(name=OWN, head=offset, pruned=0)
        if offset == 1
        else update(tables.stream).where(tables.stream.c.name == OWN).values(**change)
    )


def grant_silently(engine: Engine) -> None:
    engine.change(insert(tables.subscription).values(player="ann", stream=UNIVERSE))


async def test_a_grant_and_an_end_whose_messages_were_lost_are_found_in_the_table(engine: Engine) -> None:
    await start(engine)
    bob = await engine.connect("bob")
    await shout(bob, 3, UNIVERSE)
    ann, other = [await engine.connect(f"ann;session={session}") for session in ("s1", "s2")]
    grant_silently(engine)
    publish_silently(engine, 1, "subscribed", '{"stream":"universe:1","offset":3}')
    publish_silently(engine, 2, "session_revoked", '{"session":"s1"}')
    await compare_heads(engine)
    assert (await ann.told_to_leave())[0] == 4403
    await shout(bob, 2, UNIVERSE)
    await other.heard_up_to(UNIVERSE, 5)
    assert other.offsets(UNIVERSE) == [4, 5]
    assert [push["event"] for push in other.pushes(stream=OWN)] == ["subscribed", "session_revoked"]


@pytest.mark.parametrize("then", ["heads are compared", "an event follows"])
async def test_what_was_granted_and_ended_in_history_that_is_gone_is_read_again(
    engine: Engine, then: str
) -> None:
    logins = await start(engine)
    bob = await engine.connect("bob")
    await shout(bob, 3, UNIVERSE)
    ann, other = [await engine.connect(f"ann;session={session}") for session in ("s1", "s2")]
    grant_silently(engine)
    logins.over.add("s1")
    engine.change(insert(tables.stream).values(name=OWN, head=2, pruned=2))
    if then == "an event follows":
        await shout(bob, 1, OWN)
    else:
        await compare_heads(engine)
    assert (await ann.told_to_leave())[0] == 4403
    await other.told("resync", count=2)
    head = 3 if then == "an event follows" else 2
    assert {frame["stream"]: frame["offset"] for frame in other.of_type("resync")} == {OWN: head, UNIVERSE: 3}
    await shout(bob, 2, UNIVERSE)
    await shout(bob, 1, OWN)
    await other.heard_up_to(UNIVERSE, 5)
    await other.heard_up_to(OWN, head + 1)
    assert other.offsets(UNIVERSE) == [4, 5]
    assert other.offsets(OWN) == [head + 1]


async def test_a_login_that_has_ended_is_refused_and_a_sign_out_closes_its_connections(
    engine: Engine,
) -> None:
    logins = await start(engine)
    here, there, other = [await engine.connect(f"ann;session={name}") for name in ("s1", "s1", "s2")]
    logins.over.add("s1")
    await cast(Gateway, engine).server.app.sign_out("ann", "s1")
    for client in (here, there):
        assert await client.told_to_leave() == (4403, "the session was revoked")
    late = await engine.open(player="ann")
    await late.order("hello", id="h", token="ann;session=s1")
    assert (await late.told_to_leave())[0] == 4403
    assert late.replies("h")[0]["error"]["code"] == "unauthorized"
    assert (await other.refused("refresh", token="ann;session=s1"))["code"] == "unauthorized"
    await other.command("ping")


async def test_hellos_at_the_same_moment_hear_each_what_is_granted_to_it(engine: Engine) -> None:
    """They share their reads; a login that is over among them, and a limit of a few names, change nothing."""
    logins = Logins()
    app = garden.build()
    app.auth = logins
    await engine.start(app, asked_at_once=7)
    players = [f"p{number}" for number in range(24)]
    for number, player in enumerate(players):
        engine.change(insert(tables.subscription).values(player=player, stream=f"universe:{number % 5}"))
    logins.over.add("s3")
    clients = [await engine.open(player=player) for player in players]
    async with asyncio.TaskGroup() as group:
        for number, client in enumerate(clients):
            group.create_task(client.order("hello", id="h", token=f"p{number};session=s{number}"))
    for number, client in enumerate(clients):
        if number == 3:
            assert (await client.told_to_leave())[0] == 4403
            continue
        streams = (await client.reply("h"))["result"]["streams"]
        assert set(streams) == {f"player:p{number}", "all", f"universe:{number % 5}"}
    await shout(clients[0], 2, "universe:0")
    for client in clients[::5]:
        await client.heard_up_to("universe:0", 2)
        assert client.offsets("universe:0") == [1, 2]
    assert clients[1].offsets("universe:0") == []


async def test_a_name_that_the_database_does_not_take_is_the_fault_of_one_who_asks(engine: Engine) -> None:
    await engine.start()
    reads = cast(Gateway, engine).server.hub.engine
    names = ["ann", "bob", "\ud800", "cid", "dan"]
    told = await asyncio.gather(*(reads.streams_of(name) for name in names), return_exceptions=True)
    assert [isinstance(each, ValueError) for each in told] == [False, False, True, False, False]
    assert [list(each) for each in told if isinstance(each, dict)] == [
        [f"player:{name}", "all"] for name in names if name.isascii()
    ]
