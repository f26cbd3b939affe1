import asyncio
import time
from typing import Any

import app as example
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

import starwire

KEY = rsa.generate_private_key(65537, 2048)
PUBLISHED = {"keys": [{**RSAAlgorithm.to_jwk(KEY.public_key(), as_dict=True), "kid": "1", "use": "sig"}]}


class Published(jwt.PyJWKClient):
    def fetch_data(self) -> Any:
        return PUBLISHED


example.KEYS = Published("https://id.example.com/keys")


def token(key: Any = KEY, **claims: Any) -> str:
    usual = {"iss": example.ISSUER, "aud": example.AUDIENCE, "sub": "ann", "name": "Ann"}
    claims = usual | {"exp": int(time.time()) + 60} | claims
    return jwt.encode(claims, key, algorithm="RS256", headers={"kid": "1"})


def test_a_token_of_the_provider_says_who_it_is() -> None:
    identity = asyncio.run(example.authenticate(token()))
    assert (identity.sub, identity.name) == ("ann", "Ann")


def test_other_tokens_are_refused() -> None:
    another = rsa.generate_private_key(65537, 2048)
    for wrong in (token(another), token(aud="other"), token(iss="other"), token(exp=1), "no token"):
        with pytest.raises(starwire.Unauthenticated):
            asyncio.run(example.authenticate(wrong))
