"""Access tokens: who they name, how long, and everything that makes one worthless. And the secret's file."""

import base64
import threading
from pathlib import Path
from typing import Any

import jwt
import pytest

from starwire.clock import ManualClock
from starwire.errors import ConfigurationError
from starwire.gateway.tokens import InvalidToken, Tokens, load_secret
from starwire.identity import Identity

SECRET = b"s" * 64


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def tokens(clock: ManualClock) -> Tokens:
    return Tokens(SECRET, clock, access_seconds=900)


def forged(clock: ManualClock, *, key: bytes = SECRET, algorithm: str = "HS256", **changes: Any) -> str:
    now = clock.now() // 1_000_000
    claims: dict[str, object] = {
        "iss": "starwire", "aud": "starwire", "sub": "1", "sid": "s", "iat": now, "exp": now + 60, **changes,
    }  # fmt: skip
    return jwt.encode({name: value for name, value in claims.items() if value is not None}, key, algorithm)


def test_a_token_names_its_player_until_it_expires(tokens: Tokens, clock: ManualClock) -> None:
    token = tokens.sign("42", name="Ada", session="s1")
    end = clock.now() + 900_000_000
    assert tokens.verify(token) == Identity("42", "Ada", {}, end, "s1")
    clock.set(end)
    with pytest.raises(InvalidToken, match="expired") as caught:
        tokens.verify(token)
    assert caught.value.expired
    assert not caught.value.revoked


def test_an_operators_token_carries_the_claim(tokens: Tokens) -> None:
    assert tokens.verify(tokens.sign("1", session="s", operator=True)).allows("operator")
    assert not tokens.verify(tokens.sign("1", session="s")).allows("operator")


def test_without_a_session_a_token_lives_five_minutes_at_most(tokens: Tokens, clock: ManualClock) -> None:
    assert tokens.verify(tokens.sign("operator", seconds=9_999)).expires_at == clock.now() + 300_000_000
    with pytest.raises(InvalidToken, match="five minutes"):
        tokens.verify(forged(clock, sid=None, exp=clock.now() // 1_000_000 + 301))


@pytest.mark.parametrize("claim", ["iss", "aud", "sub", "iat", "exp"])
def test_a_token_that_lacks_a_claim_is_worthless(tokens: Tokens, clock: ManualClock, claim: str) -> None:
    changes: dict[str, Any] = {claim: None}
    with pytest.raises(InvalidToken):
        tokens.verify(forged(clock, **changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "other"},
        {"aud": "other"},
        {"aud": ["other"]},
        {"sub": 1},
        {"sid": 1},
        {"exp": "soon"},
        {"exp": True},
        {"exp": float("inf")},
        {"exp": float("nan")},
        {"iat": float("nan")},
        {"iat": 9_999_999_999},
        {"key": b"x" * 64},
        {"algorithm": "HS512"},
    ],
)
def test_a_token_that_was_not_made_here_for_this_is_worthless(
    tokens: Tokens, clock: ManualClock, changes: dict[str, Any]
) -> None:
    with pytest.raises(InvalidToken):
        tokens.verify(forged(clock, **changes))


def test_a_token_without_a_signature_is_worthless(tokens: Tokens, clock: ManualClock) -> None:
    _, claims, _ = forged(clock).split(".")
    header = base64.urlsafe_b64encode(b'{"alg":"none","typ":"JWT"}').rstrip(b"=").decode()
    with pytest.raises(InvalidToken):
        tokens.verify(f"{header}.{claims}.")


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "é" * 20, "\ud800", "." * 1000])
def test_any_other_text_is_no_token(tokens: Tokens, token: str) -> None:
    with pytest.raises(InvalidToken):
        tokens.verify(token)


def test_the_secret_is_made_once_for_its_owner_only(tmp_path: Path) -> None:
    data = tmp_path / "data"
    secret = load_secret(data)
    assert len(secret) >= 32
    assert (data / "secret").stat().st_mode & 0o777 == 0o600
    assert data.stat().st_mode & 0o777 == 0o700
    assert load_secret(data) == secret
    assert [path.name for path in data.iterdir()] == ["secret"]


def test_servers_that_start_together_agree_on_one_secret(tmp_path: Path) -> None:
    found: list[bytes] = []
    barrier = threading.Barrier(8)

    def start() -> None:
        barrier.wait()
        found.append(load_secret(tmp_path))

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1


def test_a_secret_that_others_can_read_is_refused_in_one_line(tmp_path: Path) -> None:
    load_secret(tmp_path)
    (tmp_path / "secret").chmod(0o640)
    with pytest.raises(
        ConfigurationError, match=r"^[^\n]*secret can be read by others \(mode 640\)[^\n]*chmod 600"
    ):
        load_secret(tmp_path)


def test_a_secret_that_is_too_short_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("hunter2")
    (tmp_path / "secret").chmod(0o600)
    with pytest.raises(ConfigurationError, match="7 bytes"):
        load_secret(tmp_path)
