"""What the reply table says of commands that nobody has answered: to each its own."""

import json

from starwire.batch import Command
from starwire.engines.distributed.engine import Waiting, find_replies
from starwire.identity import Identity


def waiting(player: str, id: str, digest: bytes = b"one") -> Waiting:
    command = Command(
        player=player, id=id, name="plant", args=b"{}", digest=digest, key="k", partition=0,
        identity=Identity(player, player),
    )  # fmt: skip
    return Waiting(command, lambda reply: None, None)


def test_two_players_wait_under_the_same_id_for_a_reply_each() -> None:
    both = {0: waiting("ann", "a-1"), 1: waiting("ben", "a-1")}
    stored = {("ann", "a-1"): (b"one", b"to ann"), ("ben", "a-1"): (b"one", b"to ben")}
    assert find_replies(both, stored) == {0: b"to ann", 1: b"to ben"}


def test_the_same_command_twice_gets_the_same_reply_twice() -> None:
    twice = {0: waiting("ann", "a-1"), 3: waiting("ann", "a-1")}
    assert find_replies(twice, {("ann", "a-1"): (b"one", b"to ann")}) == {0: b"to ann", 3: b"to ann"}


def test_another_command_under_the_id_does_not_get_its_reply() -> None:
    different = {0: waiting("ann", "a-1"), 1: waiting("ann", "a-1", b"two")}
    found = find_replies(different, {("ann", "a-1"): (b"one", b"to ann")})
    assert found[0] == b"to ann"
    assert json.loads(found[1])["error"]["code"] == "invalid_args"


def test_what_is_stored_for_nobody_who_waits_is_left_alone() -> None:
    assert find_replies({0: waiting("ann", "a-1")}, {("ben", "a-1"): (b"one", b"to ben")}) == {}
    assert find_replies({}, {("ann", "a-1"): (b"one", b"to ann")}) == {}
