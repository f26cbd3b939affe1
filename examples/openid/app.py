"""Tokens of an OpenID provider, in place of the built-in accounts."""

import os

import starwire

provider = starwire.OpenID(
    issuer=os.environ.get("OPENID_ISSUER", "https://id.example.com"),
    audience=os.environ.get("OPENID_AUDIENCE", "mygame"),
)
app = starwire.App("openid", auth=provider)


class WhoAmI(starwire.View, frozen=True):
    """Asks for the player's own name."""


@app.view
def who_am_i(read: starwire.Read, player: str, ask: WhoAmI) -> str:
    return player


class Close(starwire.Command, frozen=True):
    """Closes the place for the night."""


@app.command(requires="operator")
def close(tx: starwire.Transaction, player: str, order: Close) -> str:
    return f"closed by {player}"
