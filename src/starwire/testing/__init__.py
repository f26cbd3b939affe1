"""The test kit: an App in process, on a clock that the test moves, over connections in memory.

    with World(app) as world:
        ann = world.connect("ann")
        ann.command("plant", seconds=90_000)
        world.advance(hours=25)
        assert ann.received("ripe")

Everything else is real: the protocol, the gateway's sessions and hub, the executor, SQLite. Only sockets,
threads and the passing of time are replaced. A player's token is the player's name.
"""

from starwire.testing.world import CommandFailed, Player, Push, World

__all__ = ["CommandFailed", "Player", "Push", "World"]
