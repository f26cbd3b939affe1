"""Accounts over HTTP (``POST /auth/…``), and an access token that is renewed when it must be.

Plain HTTP/1.1 over asyncio's streams: one request, one connection, no dependency.
"""

from __future__ import annotations

import asyncio
import http.client
import inspect
import io
import time
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

import msgspec

from starwire.client.errors import AuthError

REQUEST_SECONDS = 10.0
MARGIN_SECONDS = 5.0
LEAD_SECONDS = 60.0
Signed = dict[str, Any]
Source = Callable[[], "str | Signed | Awaitable[str | Signed]"]


async def guest(base: str) -> Signed:
    """Make a guest: ``{"player", "name", "access_token", "refresh_token", "expires_in"}``.

    Args:
        base: the server, for example ``http://127.0.0.1:8000``.

    Raises:
        AuthError: the server refuses, or cannot be reached. So do the others.
    """
    return _stamped(await post(base, "/auth/guest", {}))


async def register(base: str, name: str, password: str, *, access_token: str | None = None) -> Signed:
    """Make an account; with a guest's access token, of that guest, which keeps everything it has."""
    body = {"name": name, "password": password}
    return _stamped(await post(base, "/auth/register", body, access_token=access_token))


async def login(base: str, name: str, password: str) -> Signed:
    """Sign in."""
    return _stamped(await post(base, "/auth/login", {"name": name, "password": password}))


async def refresh(base: str, refresh_token: str) -> Signed:
    """Exchange a refresh token for new tokens."""
    return _stamped(await post(base, "/auth/refresh", {"refresh_token": refresh_token}))


async def logout(base: str, refresh_token: str) -> None:
    """End the session; its open connections are closed."""
    await post(base, "/auth/logout", {"refresh_token": refresh_token})


class Tokens:
    """The access token of one client, renewed when it must be; never two renewals at once.

    Args:
        source: an access token, what ``guest`` or ``login`` gave, or a function (async or not) that gives
            either, and is asked again whenever a new one is needed.
        base: where to refresh.
    """

    def __init__(self, source: str | Signed | Source, base: str) -> None:
        self._source = source if callable(source) else None
        self._signed: Signed | None = None if callable(source) else _signed(source)
        self._base = base
        self._lock = asyncio.Lock()

    async def fresh(self) -> str:
        """A token that is good for some seconds more."""
        async with self._lock:
            if self._signed is None:
                await self._ask()
            assert self._signed is not None  # noqa: S101 -- just asked
            if self._signed.get("expires_at", float("inf")) - time.time() < MARGIN_SECONDS:
                await self._exchange()
            return str(self._signed["access_token"])

    async def renew(self, stale: str) -> str:
        """A token other than ``stale``.

        Raises:
            AuthError: there is none to be had.
        """
        async with self._lock:
            if self._signed is None or self._signed["access_token"] == stale:
                await self._exchange()
            assert self._signed is not None  # noqa: S101 -- exchanged, or there
            return str(self._signed["access_token"])

    def until_renewal(self) -> float | None:
        """Seconds until it is time to renew: a minute ahead, or a fifth of a short life; None: never."""
        expires_at = (self._signed or {}).get("expires_at")
        if expires_at is None:
            return None
        left = expires_at - time.time()
        return max(1.0, float(left - min(LEAD_SECONDS, left / 5)))

    async def _exchange(self) -> None:
        if self._source is not None:
            await self._ask()
            return
        refresh_token = (self._signed or {}).get("refresh_token")
        if refresh_token is None:
            raise AuthError(
                "unauthorized", "The access token has expired, and there is no other.", status=401
            )
        self._signed = await refresh(self._base, refresh_token)

    async def _ask(self) -> None:
        assert self._source is not None  # noqa: S101 -- the caller has looked
        given = self._source()
        self._signed = _signed(await given if inspect.isawaitable(given) else given)


async def post(base: str, path: str, body: Any, *, access_token: str | None = None) -> Any:
    """POST JSON and give the JSON of the answer.

    Raises:
        AuthError: the server refuses, or cannot be reached.
    """
    parts = urlsplit(base)
    tls = parts.scheme in {"https", "wss"}
    data = msgspec.json.encode(body)
    headers = {
        "Host": parts.netloc,
        "Content-Type": "application/json",
        "Content-Length": str(len(data)),
        "Connection": "close",
    }
    if access_token is not None:
        headers["Authorization"] = f"Bearer {access_token}"
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    request = f"POST {path} HTTP/1.1\r\n{lines}\r\n".encode() + data
    try:
        async with asyncio.timeout(REQUEST_SECONDS):
            raw = await _exchange(parts.hostname or "", parts.port or (443 if tls else 80), tls, request)
        status, answer = _read(raw)
    except (OSError, TimeoutError, http.client.HTTPException) as error:
        raise AuthError("unreachable", f"{base} could not be reached: {error!r}") from None
    if status == 200:
        return answer
    refused = answer.get("error", {}) if isinstance(answer, dict) else {}
    message = refused.get("message", f"The server answered {status}.")
    raise AuthError(
        refused.get("code", "unavailable"), message, status=status, retry_after=refused.get("retry_after")
    )


async def _exchange(host: str, port: int, tls: bool, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(host, port, ssl=tls or None)
    try:
        writer.write(request)
        await writer.drain()
        return await reader.read()
    finally:
        writer.close()


class _Sent:
    """What ``http.client`` reads an answer from."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw

    def makefile(self, *_: object) -> io.BytesIO:
        return io.BytesIO(self._raw)


def _read(raw: bytes) -> tuple[int, Any]:
    response = http.client.HTTPResponse(_Sent(raw))  # type: ignore[arg-type]  # all it uses is makefile
    response.begin()
    body = response.read()
    try:
        return response.status, msgspec.json.decode(body)
    except msgspec.DecodeError:
        return response.status, None


def _signed(given: str | Signed) -> Signed:
    return {"access_token": given} if isinstance(given, str) else _stamped(given)


def _stamped(signed: Signed) -> Signed:
    """With ``expires_at`` in seconds of this machine's clock, so that stored tokens keep their meaning."""
    if "expires_at" in signed or "expires_in" not in signed:
        return signed
    return {**signed, "expires_at": time.time() + signed["expires_in"]}
