"""Tokens of an OpenID provider, in place of the built-in accounts."""

import asyncio
import os

import jwt

import starwire

ISSUER = os.environ.get("OPENID_ISSUER", "https://id.example.com")
AUDIENCE = os.environ.get("OPENID_AUDIENCE", "mygame")
KEYS = jwt.PyJWKClient(os.environ.get("OPENID_KEYS", f"{ISSUER}/keys"), timeout=5)


async def authenticate(token: str) -> starwire.Identity:
    try:
        key = await asyncio.to_thread(KEYS.get_signing_key_from_jwt, token)
        claims = jwt.decode(
            token,
            key,
            algorithms=["RS256", "ES256"],  # never what the token itself names
            audience=AUDIENCE,
            issuer=ISSUER,
            options={"require": ["exp", "sub"]},
        )
    except jwt.PyJWKClientConnectionError:
        raise  # the provider is away; that is not the token's fault
    except jwt.PyJWTError as error:
        raise starwire.Unauthenticated(f"The token is refused: {error}") from None
    return starwire.Identity(
        sub=claims["sub"], name=claims.get("name", ""), expires_at=int(claims["exp"]) * 1_000_000
    )


app = starwire.App("openid", auth=authenticate)
