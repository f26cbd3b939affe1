"""Everything over HTTP but the socket: accounts, health, metrics, pages.

``build_http`` puts the routes together: the app's own first, then these. The rules of ``/auth``: POST with
JSON of at most 16 KB from an allowed origin (so that no foreign page can sign anybody in or out), errors as
``{"error": {"code", "message"}}``. Next hop: ``accounts.py``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import Lifespan

from starwire import telemetry
from starwire.app import App, Registry
from starwire.errors import ConfigurationError, Refused
from starwire.gateway.accounts import Accounts
from starwire.gateway.origin import is_allowed
from starwire.gateway.pages import Pages, page
from starwire.gateway.responses import (
    SecurityHeaders,
    json_response,
    on_failure,
    on_http_error,
    on_refused,
)
from starwire.schema import describe

BODY_BYTES = 16_384
WEB = Path(__file__).parents[1] / "web"
Ready = Callable[[], tuple[bool, dict[str, Any]]]
Journeys = Callable[[], list[Any]]
T = TypeVar("T")


class Credentials(msgspec.Struct, frozen=True):
    """The body of ``/auth/register`` and ``/auth/login``."""

    name: str
    password: str


class RefreshToken(msgspec.Struct, frozen=True):
    """The body of ``/auth/refresh``."""

    refresh_token: str


class Logout(msgspec.Struct, frozen=True):
    """The body of ``/auth/logout``; without a token, the access token in the header names the session."""

    refresh_token: str | None = None


class Nothing(msgspec.Struct, frozen=True):
    """The body of ``/auth/guest``."""


_guest = msgspec.json.Decoder(Nothing)
_credentials = msgspec.json.Decoder(Credentials)
_refresh = msgspec.json.Decoder(RefreshToken)
_logout = msgspec.json.Decoder(Logout)


def build_http(
    app: App,
    registry: Registry,
    accounts: Accounts | None,
    *,
    ready: Ready,
    journeys: Journeys = list,
    origins: Collection[str] = (),
    dev: bool = False,
    lifespan: Lifespan[Starlette] | None = None,
) -> Starlette:
    """The HTTP side of a server.

    Args:
        app: its routes and static files.
        registry: what ``/dev/schema`` describes.
        accounts: the built-in accounts; None under ``App(auth=…)``: then ``/auth`` is not there.
        ready: whether the server is ready, and what to report; asked by ``/readyz``.
        journeys: the latest commands' journeys, for ``/dev/journeys``.
        origins: other origins whose pages may use ``/auth``; the socket has the same list.
        dev: serve ``/dev``.
        lifespan: what runs around the serving.

    Raises:
        ConfigurationError: ``App.static`` is no folder with an ``index.html``.
    """
    routes: list[BaseRoute] = [
        *app.routes,
        *_auth_routes(accounts, origins),
        *_health_routes(ready),
        *(_dev_routes(registry, journeys) if dev else ()),
        Mount("/starwire", Pages(WEB, hidden=("dev",))),
    ]
    if app.static is not None:
        if not (app.static / "index.html").is_file():
            raise ConfigurationError(f"App({app.name!r}, static=…): {app.static} has no index.html")
        routes.append(Route("/", page(app.static / "index.html"), methods=["GET"]))
        routes.append(Mount("/static", Pages(app.static)))
    return Starlette(
        routes=routes,
        middleware=[Middleware(SecurityHeaders)],
        lifespan=lifespan,
        exception_handlers={Refused: on_refused, HTTPException: on_http_error, Exception: on_failure},
    )


def _auth_routes(accounts: Accounts | None, origins: Collection[str]) -> list[BaseRoute]:
    if accounts is None:

        async def absent(_: Request) -> Response:
            raise Refused("not_found", "This server has no accounts of its own: it has App(auth=…).")

        return [Route("/auth/{rest:path}", absent, methods=["GET", "POST"])]

    async def guest(request: Request) -> Any:
        await _body(request, _guest, origins)
        return await accounts.guest(address=_address(request))

    async def register(request: Request) -> Any:
        body = await _body(request, _credentials, origins)
        return await accounts.register(
            body.name, body.password, address=_address(request), access_token=_bearer(request)
        )

    async def login(request: Request) -> Any:
        body = await _body(request, _credentials, origins)
        return await accounts.login(body.name, body.password, address=_address(request))

    async def refresh(request: Request) -> Any:
        return await accounts.refresh((await _body(request, _refresh, origins)).refresh_token)

    async def logout(request: Request) -> Any:
        body = await _body(request, _logout, origins)
        bearer = _bearer(request)
        if body.refresh_token is None and bearer is None:
            raise Refused(
                "invalid_args", "refresh_token: needed, unless an access token is in Authorization."
            )
        await accounts.logout(body.refresh_token, access_token=bearer)
        return {}

    return [_post(f"/auth/{each.__name__}", each) for each in (guest, register, login, refresh, logout)]


def _post(path: str, answer: Callable[[Request], Awaitable[Any]]) -> Route:
    async def endpoint(request: Request) -> Response:
        return json_response(await answer(request))

    return Route(path, endpoint, methods=["POST"])


def _health_routes(ready: Ready) -> list[BaseRoute]:
    async def healthz(_: Request) -> Response:
        return json_response({"ok": True})

    async def readyz(_: Request) -> Response:
        ok, report = ready()
        return json_response({"ok": ok, **report}, 200 if ok else 503)

    async def metrics(_: Request) -> Response:
        return Response(telemetry.exposition(), media_type="text/plain; version=0.0.4; charset=utf-8")

    endpoints = {"/healthz": healthz, "/readyz": readyz, "/metrics": metrics}
    return [Route(path, endpoint, methods=["GET"]) for path, endpoint in endpoints.items()]


def _dev_routes(registry: Registry, journeys: Journeys) -> list[BaseRoute]:
    described = describe(registry)

    async def schema(_: Request) -> Response:
        return json_response(described)

    async def latest(_: Request) -> Response:
        return json_response({"journeys": journeys()})

    return [
        Route("/dev", page(WEB / "dev" / "index.html"), methods=["GET"]),
        Route("/dev/schema", schema, methods=["GET"]),
        Route("/dev/journeys", latest, methods=["GET"]),
        Mount("/dev", Pages(WEB / "dev")),
    ]


async def _body(request: Request, decoder: msgspec.json.Decoder[T], origins: Collection[str]) -> T:
    """Check where a request comes from and read its body.

    A foreign page can send a form, but neither JSON's content type nor another Origin than its own.
    """
    host = request.headers.get("host", "")
    if not is_allowed(request.headers.get("origin"), scheme=request.url.scheme, host=host, allowlist=origins):
        raise Refused("foreign_origin", "Pages of this origin may not sign in here; see STARWIRE_ORIGINS.")
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise Refused(
            "unsupported_media_type", f"Content-Type: must be application/json, not {kind or 'none'}."
        )
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > BODY_BYTES:
            raise Refused("too_large", f"A body has at most {BODY_BYTES} bytes.")
    try:
        return decoder.decode(data or b"{}")
    except msgspec.ValidationError as error:
        raise Refused("invalid_args", f"{str(error).replace(' - at `$.', ' at `')}.") from None
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        raise Refused("malformed", "The body is not JSON.") from None


def _address(request: Request) -> str | None:
    return request.client.host if request.client else None


def _bearer(request: Request) -> str | None:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" and token.strip() else None
