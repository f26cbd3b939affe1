"""The Python side of ``starwire.v1``: for bots, tests and load. The same as ``web/starwire.js``, for asyncio.

::

    tokens = await starwire.client.guest("http://127.0.0.1:8000")
    async with Client("http://127.0.0.1:8000", tokens=tokens) as client:
        await client.command("plant", seconds=5)
        push = await client.wait_for("ripe")

A command's journey: ``client`` → ``outbox`` → ``link`` → server → ``link`` → ``outbox`` → the caller.
A push's: ``link`` → ``cursors`` judge it → live states → ``listeners``. It knows nothing of any game.
"""

from starwire.client.accounts import guest, login, logout, refresh, register
from starwire.client.client import Client
from starwire.client.errors import AuthError, CommandError, Lagged
from starwire.client.frames import Push, ViewResult
from starwire.client.state import LiveState

__all__ = [
    "AuthError",
    "Client",
    "CommandError",
    "Lagged",
    "LiveState",
    "Push",
    "ViewResult",
    "guest",
    "login",
    "logout",
    "refresh",
    "register",
]
