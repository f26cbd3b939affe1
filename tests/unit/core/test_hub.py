"""Who gets in at a gateway, without sockets."""

import json
from typing import cast

import starwire
from starwire import system
from starwire.clock import ManualClock
from starwire.engine import Engine
from starwire.gateway.hub import Hub
from starwire.identity import Identity
from starwire.limits import Limits
from tests.support.script import Memory, Script, scripted_gateway, settle


def knock(hub: Hub, address: str) -> Memory:
    """A connection from there, that says nothing and answers no close."""
    memory = Memory()
    memory.address = address
    memory.session = hub.open(memory)
    return memory


async def test_who_is_refused_takes_no_place_however_slow_to_leave() -> None:
    hub = scripted_gateway(Limits(unauthenticated=4, unauthenticated_per_address=2)).hub
    refused = [knock(hub, "192.0.2.1").closed for _ in range(10)][2:]
    assert refused == [(4429, "too many connections")] * 8
    assert knock(hub, "192.0.2.2").closed is None


async def test_a_token_that_an_auth_of_ones_own_takes_for_longer_than_it_lives_is_refused() -> None:
    script, clock = Script(), ManualClock()
    registry = starwire.App("none").registry(system.module)

    async def authenticate(token: str) -> Identity:
        return Identity("ann", expires_at=clock.now() + int(token))

    hub = Hub(registry, cast(Engine, script), clock, Limits(), authenticate, wrap=lambda frame: frame)
    for token, closed in (("0", 4401), ("1", None)):
        memory = knock(hub, "192.0.2.1")
        assert memory.session is not None
        memory.session.text(json.dumps({"id": "h", "command": "hello", "args": {"token": token}}))
        await settle()
        assert (memory.closed or (None,))[0] == closed
