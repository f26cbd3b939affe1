"""Accounts over HTTP, on a real engine: who gets in, who stays in, who is put out, and who has to wait."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from starwire.errors import Refused, Unauthenticated
from starwire.gateway.passwords import Passwords
from starwire.limits import Limits
from tests.support.asgi import Answer
from tests.support.doors import FAST, Doors, open_doors

ADA = {"name": "Ada", "password": "lovelace-1843"}


@pytest.fixture
async def doors(tmp_path: Path) -> AsyncIterator[Doors]:
    async with open_doors(tmp_path) as opened:
        yield opened


def bearer(tokens: Any) -> dict[str, str]:
    return {"authorization": f"Bearer {tokens['access_token']}"}


def refused(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.json()["error"]["code"]


async def test_a_guest_plays_at_once_and_is_known_by_its_token(doors: Doors) -> None:
    answer = await doors.post("/auth/guest")
    assert answer.status == 200
    tokens = answer.json()
    assert (tokens["player"], tokens["name"], tokens["expires_in"]) == ("1", "Guest 1", 900)
    identity = await doors.authenticate(tokens["access_token"])
    assert (identity.sub, identity.name) == ("1", "Guest 1")
    assert answer.headers["cache-control"] == "no-store"


async def test_every_guest_is_somebody_else(doors: Doors) -> None:
    players = [(await doors.post("/auth/guest")).json()["player"] for _ in range(3)]
    assert players == ["1", "2", "3"]


async def test_a_name_and_a_password_get_in_however_the_name_is_written(doors: Doors) -> None:
    registered = (await doors.post("/auth/register", ADA)).json()
    for name in ("Ada", "ADA", " ada "):
        tokens = (await doors.post("/auth/login", {**ADA, "name": name})).json()
        assert (tokens["player"], tokens["name"]) == (registered["player"], "Ada")


async def test_a_guest_that_registers_stays_who_it_is(doors: Doors) -> None:
    guest = (await doors.post("/auth/guest")).json()
    tokens = (await doors.post("/auth/register", ADA, headers=bearer(guest))).json()
    assert (tokens["player"], tokens["name"]) == (guest["player"], "Ada")
    before, after = [await doors.authenticate(each["access_token"]) for each in (guest, tokens)]
    assert before.session == after.session  # so the open page stays connected
    assert refused(await doors.post("/auth/refresh", {"refresh_token": guest["refresh_token"]})) == (
        409,
        "rotated",
    )
    assert (await doors.post("/auth/refresh", {"refresh_token": tokens["refresh_token"]})).status == 200
    assert (await doors.post("/auth/login", ADA)).json()["player"] == guest["player"]


async def test_who_has_a_name_does_not_get_another_by_registering(doors: Doors) -> None:
    ada = (await doors.post("/auth/register", ADA)).json()
    answer = await doors.post("/auth/register", {**ADA, "name": "Grace"}, headers=bearer(ada))
    assert refused(answer) == (409, "registered")


async def test_a_guest_with_an_expired_token_is_told_so_instead_of_becoming_somebody_else(
    doors: Doors,
) -> None:
    guest = (await doors.post("/auth/guest")).json()
    doors.later(901)
    assert refused(await doors.post("/auth/register", ADA, headers=bearer(guest))) == (401, "unauthorized")
    assert (await doors.post("/auth/register", ADA)).status == 200


async def test_a_name_is_given_once_also_to_two_at_the_same_time(doors: Doors) -> None:
    answers = await asyncio.gather(
        *(doors.post("/auth/register", {**ADA, "name": n}) for n in ("Ada", "ADA"))
    )
    assert sorted(answer.status for answer in answers) == [200, 409]
    assert "taken" in next(answer for answer in answers if answer.status == 409).json()["error"]["message"]


@pytest.mark.parametrize(
    "body", [{**ADA, "password": "wrong-password"}, {**ADA, "name": "Nobody"}, {**ADA, "password": ""}]
)
async def test_a_wrong_name_and_a_wrong_password_are_one_refusal(doors: Doors, body: dict[str, str]) -> None:
    await doors.post("/auth/register", ADA)
    answer = await doors.post("/auth/login", body)
    assert refused(answer) == (401, "unauthorized")
    assert answer.json()["error"]["message"] == "The name or the password is wrong."


async def test_an_unknown_name_costs_as_much_work_as_a_known_one() -> None:
    passwords = Passwords(Limits())  # argon2 as it is in earnest
    kept = await passwords.hash("lovelace-1843")
    await passwords.verify(None, "first: makes the hash that nobody has")
    seconds = {}
    for name, hashed in (("known", kept), ("unknown", None)):
        begun = time.perf_counter()
        for _ in range(3):
            assert not await passwords.verify(hashed, "wrong")
        seconds[name] = time.perf_counter() - begun
    passwords.close()
    assert seconds["unknown"] > seconds["known"] / 3, seconds


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ({"name": "Ada"}, "password"),
        ({"name": "Ada", "password": 5}, "password"),
        ({"name": "A", "password": "long enough"}, "name: 2 to 32"),
        ({"name": "Ada", "password": "short"}, "at least 8"),
        ([], "object"),
    ],
)
async def test_what_is_wrong_with_a_registration_is_named(doors: Doors, body: Any, complaint: str) -> None:
    answer = await doors.post("/auth/register", body)
    assert refused(answer) == (400, "invalid_args")
    assert complaint in answer.json()["error"]["message"]


async def test_no_password_is_stored_or_shown(doors: Doors, tmp_path: Path) -> None:
    tokens = (await doors.post("/auth/register", ADA)).json()
    stored = b"".join(path.read_bytes() for path in tmp_path.iterdir())  # noqa: ASYNC240
    for secret in (ADA["password"], tokens["refresh_token"], tokens["access_token"]):
        assert secret.encode() not in stored
    assert b"$argon2id$" in stored


# Refreshing


async def test_refreshing_gives_new_tokens_for_the_same_session(doors: Doors) -> None:
    first = (await doors.post("/auth/guest")).json()
    doors.later(800)
    second = (await doors.post("/auth/refresh", {"refresh_token": first["refresh_token"]})).json()
    assert second["refresh_token"] != first["refresh_token"]
    doors.later(200)
    with pytest.raises(Unauthenticated, match="expired"):
        await doors.authenticate(first["access_token"])
    assert (await doors.authenticate(second["access_token"])).sub == first["player"]


async def test_two_tabs_that_refresh_together_get_the_same_token(doors: Doors) -> None:
    token = (await doors.post("/auth/guest")).json()["refresh_token"]
    answers = await asyncio.gather(*(doors.post("/auth/refresh", {"refresh_token": token}) for _ in range(4)))
    assert [answer.status for answer in answers] == [200] * 4
    assert len({answer.json()["refresh_token"] for answer in answers}) == 1


async def test_a_lost_answer_costs_nobody_the_session(doors: Doors) -> None:
    token = (await doors.post("/auth/guest")).json()["refresh_token"]
    lost = (await doors.post("/auth/refresh", {"refresh_token": token})).json()
    doors.later(30)
    again = (await doors.post("/auth/refresh", {"refresh_token": token})).json()
    assert again["refresh_token"] == lost["refresh_token"]
    assert (await doors.post("/auth/refresh", {"refresh_token": again["refresh_token"]})).status == 200


async def test_a_refresh_token_used_again_later_ends_the_session_for_everybody(doors: Doors) -> None:
    first = (await doors.post("/auth/guest")).json()
    second = (await doors.post("/auth/refresh", {"refresh_token": first["refresh_token"]})).json()
    doors.later(61)
    assert refused(await doors.post("/auth/refresh", {"refresh_token": first["refresh_token"]})) == (
        401,
        "unauthorized",
    )
    assert refused(await doors.post("/auth/refresh", {"refresh_token": second["refresh_token"]})) == (
        401,
        "unauthorized",
    )
    with pytest.raises(Unauthenticated) as caught:
        await doors.authenticate(second["access_token"])
    assert caught.value.revoked
    assert [event.event for event in doors.events] == ["session_revoked"]


async def test_a_session_that_nobody_used_for_a_month_is_over(doors: Doors) -> None:
    tokens = (await doors.post("/auth/guest")).json()
    doors.later(30 * 86_400)
    assert refused(await doors.post("/auth/refresh", {"refresh_token": tokens["refresh_token"]})) == (
        401,
        "unauthorized",
    )


@pytest.mark.parametrize("token", ["", "x", "é", "x" * 10_000])
async def test_any_other_text_refreshes_nothing(doors: Doors, token: str) -> None:
    assert refused(await doors.post("/auth/refresh", {"refresh_token": token})) == (401, "unauthorized")


# Signing out


@pytest.mark.parametrize("by", ["refresh token", "access token", "both"])
async def test_signing_out_ends_the_session_and_tells_its_connections(doors: Doors, by: str) -> None:
    tokens = (await doors.post("/auth/guest")).json()
    session = (await doors.authenticate(tokens["access_token"])).session
    body = {} if by == "access token" else {"refresh_token": tokens["refresh_token"]}
    headers = {} if by == "refresh token" else bearer(tokens)
    assert (await doors.post("/auth/logout", body, headers=headers)).status == 200
    event = doors.events[0]
    assert (event.stream, event.event) == (f"player:{tokens['player']}", "session_revoked")
    assert msgspec.json.decode(event.frame)["data"] == {"session": session}
    assert len(doors.events) == 1
    with pytest.raises(Unauthenticated, match="signed out"):
        await doors.authenticate(tokens["access_token"])
    assert refused(await doors.post("/auth/refresh", {"refresh_token": tokens["refresh_token"]})) == (
        401,
        "unauthorized",
    )


async def test_signing_out_twice_is_no_mistake(doors: Doors) -> None:
    tokens = (await doors.post("/auth/guest")).json()
    for _ in range(2):
        assert (await doors.post("/auth/logout", {"refresh_token": tokens["refresh_token"]})).status == 200
    assert len(doors.events) == 1


async def test_signing_out_of_nothing_says_what_is_needed(doors: Doors) -> None:
    answer = await doors.post("/auth/logout")
    assert refused(answer) == (400, "invalid_args")
    assert "refresh_token" in answer.json()["error"]["message"]


async def test_other_sessions_of_the_account_stay(doors: Doors) -> None:
    here = (await doors.post("/auth/register", ADA)).json()
    there = (await doors.post("/auth/login", ADA)).json()
    await doors.post("/auth/logout", {"refresh_token": here["refresh_token"]})
    assert (await doors.authenticate(there["access_token"])).sub == here["player"]


# Overload


async def test_one_address_makes_so_many_guests_a_minute_and_others_still_get_in(tmp_path: Path) -> None:
    async with open_doors(tmp_path, limits=Limits(guests_per_minute=2)) as doors:
        for _ in range(2):
            assert (await doors.post("/auth/guest")).status == 200
        answer = await doors.post("/auth/guest")
        assert refused(answer) == (429, "rate_limited")
        wait = answer.json()["error"]["retry_after"]
        assert wait <= int(answer.headers["retry-after"]) <= wait + 1
        assert (await doors.post("/auth/guest", client="192.0.2.2")).status == 200
        doors.later(wait + 0.001)
        assert (await doors.post("/auth/guest")).status == 200


WRONG = {**ADA, "password": "guess-guess"}


async def test_an_address_tries_so_many_names_a_minute_and_no_more(tmp_path: Path) -> None:
    async with open_doors(tmp_path, limits=Limits(logins_per_minute=3)) as doors:
        names = [{**WRONG, "name": name} for name in ("Bob", "Cid", "Dan", "Eve")]
        answers = [await doors.post("/auth/login", each) for each in names]
        assert [answer.status for answer in answers] == [401, 401, 401, 429]
        wait = answers[-1].json()["error"]["retry_after"]
        assert (await doors.post("/auth/login", WRONG, client="192.0.2.2")).status == 401
        doors.later(wait + 0.001)
        assert (await doors.post("/auth/login", names[-1])).status == 401


async def test_guessing_one_name_from_one_address_is_slowed_down_and_stops_nobody_elsewhere(
    tmp_path: Path,
) -> None:
    async with open_doors(tmp_path, limits=Limits(login_failures_per_minute=2)) as doors:
        await doors.post("/auth/register", ADA, client="192.0.2.2")
        answers = [await doors.post("/auth/login", each) for each in (WRONG, WRONG, WRONG, ADA)]
        assert [answer.status for answer in answers] == [401, 401, 429, 429]
        assert (await doors.post("/auth/login", {**WRONG, "name": "Grace"})).status == 401
        assert (await doors.post("/auth/login", ADA, client="192.0.2.3")).status == 200


async def test_guessing_one_name_from_many_addresses_is_slowed_down_and_its_player_gets_in_at_home(
    tmp_path: Path,
) -> None:
    async with open_doors(tmp_path, limits=Limits(login_failures_per_hour=3)) as doors:
        await doors.post("/auth/register", ADA, client="192.0.2.2")
        answers = [await doors.post("/auth/login", WRONG, client=f"192.0.2.{n}") for n in range(10, 14)]
        assert [answer.status for answer in answers] == [401, 401, 401, 429]
        assert (await doors.post("/auth/login", ADA, client="192.0.2.14")).status == 429, (
            "nor its player abroad"
        )
        assert (await doors.post("/auth/login", ADA, client="192.0.2.2")).status == 200
        doors.later(2 * 3600)
        assert (await doors.post("/auth/login", ADA, client="192.0.2.14")).status == 200


@pytest.mark.parametrize("path", ["/auth/refresh", "/auth/logout"])
async def test_an_address_shows_so_many_refresh_tokens_a_minute_and_no_more(
    tmp_path: Path, path: str
) -> None:
    async with open_doors(tmp_path, limits=Limits(refreshes_per_minute=2)) as doors:
        guests = [(await doors.post("/auth/guest")).json() for _ in range(3)]
        tokens = [{"refresh_token": guest["refresh_token"]} for guest in guests]
        answers = [await doors.post(path, each) for each in tokens]
        assert [answer.status for answer in answers] == [200, 200, 429]
        assert refused(answers[-1]) == (429, "rate_limited")
        assert (await doors.post(path, tokens[2], client="192.0.2.2")).status == 200


async def test_more_hashing_than_fits_is_refused_before_it_begins() -> None:
    passwords = Passwords(Limits(hashing_threads=1, hashing_queue=2), FAST)
    waiting = [asyncio.ensure_future(passwords.hash("x" * 8)) for _ in range(3)]
    results = await asyncio.gather(*waiting, return_exceptions=True)
    passwords.close()
    full = [each for each in results if isinstance(each, Refused)]
    assert [(each.code, each.retry_after) for each in full] == [("overloaded", 1.0)]
