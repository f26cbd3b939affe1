"""Everything over HTTP but the socket: accounts, health, metrics, pages.

``build_http`` puts the routes together: the app's own first, then these. The rules of ``/auth``: POST with
bounded JSON from an allowed origin (so that no foreign page can sign anybody in or out), errors as
``{"error": {"code", "message"}}``. Next hop: ``accounts.py``.
"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, Collection
from ipaddress import ip_address
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
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
    OwnHosts,
    SecurityHeaders,
    json_response,
    on_failure,
    on_http_error,
    on_refused,
)
from starwire.schema import describe

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
    hosts: Collection[str] = (),
    origins: Collection[str] = (),
    metrics_token: str | None = None,
    body_bytes: int = 16_384,
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
        hosts: the names of this server; a request under another is refused.
        origins: other origins whose pages may use ``/auth``; the socket has the same list.
        metrics_token: lets who shows it read ``/metrics`` from elsewhere than this machine.
        body_bytes: of a request to ``/auth``.
        dev: serve ``/dev``.
        lifespan: what runs around the serving.

    Raises:
        ConfigurationError: ``App.static`` is no folder with an ``index.html``.
    """
    routes: list[BaseRoute] = [
        *app.routes,
        *_auth_routes(accounts, _Bodies(origins, body_bytes)),
        *_health_routes(ready, metrics_token),
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
        middleware=[Middleware(SecurityHeaders), Middleware(OwnHosts, hosts=hosts)],
        lifespan=lifespan,
        exception_handlers={Refused: on_refused, HTTPException: on_http_error, Exception: on_failure},
    )


def _auth_routes(accounts: Accounts | None, bodies: _Bodies) -> list[BaseRoute]:
    if accounts is None:

        async def absent(_: Request) -> Response:
            raise Refused("not_found", "This server has no accounts of its own: it has App(auth=…).")

        return [Route("/auth/{rest:path}", absent, methods=["GET", "POST"])]

    async def guest(request: Request) -> Any:
        await bodies.read(request, _guest)
        return await accounts.guest(address=_address(request))

    async def register(request: Request) -> Any:
        body = await bodies.read(request, _credentials)
        return await accounts.register(
            body.name, body.password, address=_address(request), access_token=_bearer(request)
        )

    async def login(request: Request) -> Any:
        body = await bodies.read(request, _credentials)
        return await accounts.login(body.name, body.password, address=_address(request))

    async def refresh(request: Request) -> Any:
        body = await bodies.read(request, _refresh)
        return await accounts.refresh(body.refresh_token, address=_address(request))

    async def logout(request: Request) -> Any:
        body = await bodies.read(request, _logout)
        bearer = _bearer(request)
        if body.refresh_token is None and bearer is None:
            raise Refused(
                "invalid_args", "refresh_token: needed, unless an access token is in Authorization."
            )
        await accounts.logout(body.refresh_token, access_token=bearer, address=_address(request))
        return {}

    return [_post(f"/auth/{each.__name__}", each) for each in (guest, register, login, refresh, logout)]


def _post(path: str, answer: Callable[[Request], Awaitable[Any]]) -> Route:
    async def endpoint(request: Request) -> Response:
        return json_response(await answer(request))

    return Route(path, endpoint, methods=["POST"])


def _health_routes(ready: Ready, metrics_token: str | None) -> list[BaseRoute]:
    async def healthz(_: Request) -> Response:
        return json_response({"ok": True})

    async def readyz(_: Request) -> Response:
        ok, report = ready()
        return json_response({"ok": ok, **report}, 200 if ok else 503)

    async def metrics(request: Request) -> Response:
        shown = _bearer(request) or ""
        if not _is_here(request) and not (
            metrics_token is not None and hmac.compare_digest(shown.encode(), metrics_token.encode())
        ):
            raise Refused("unauthorized", "Metrics are for this machine, and for STARWIRE_METRICS_TOKEN.")
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


class _Bodies:
    """Reads the bodies of ``/auth``, after a look at where they come from.

    A foreign page can send a form, but neither JSON's content type nor another Origin than its own.
    """

    def __init__(self, origins: Collection[str], most_bytes: int) -> None:
        self._origins = origins
        self._most_bytes = most_bytes

    async def read(self, request: Request, decoder: msgspec.json.Decoder[T]) -> T:
        """The body as its struct.

        Raises:
            Refused: the origin, the content type, the size or the content is wrong.
        """
        origin, host = request.headers.get("origin"), request.headers.get("host", "")
        if not is_allowed(origin, scheme=request.url.scheme, host=host, allowlist=self._origins):
            raise Refused(
                "foreign_origin", "Pages of this origin may not sign in here; see STARWIRE_ORIGINS."
            )
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            raise Refused(
                "unsupported_media_type", f"Content-Type: must be application/json, not {kind or 'none'}."
            )
        data = await self._bytes(request)
        try:
            return decoder.decode(data or b"{}")
        except msgspec.ValidationError as error:
            raise Refused("invalid_args", f"{str(error).replace(' - at `$.', ' at `')}.") from None
        except (msgspec.DecodeError, RecursionError, UnicodeError):
            raise Refused("malformed", "The body is not JSON.") from None

    async def _bytes(self, request: Request) -> bytearray:
        data = bytearray()
        try:
            async for chunk in request.stream():
                data += chunk
                if len(data) > self._most_bytes:
                    raise Refused("too_large", f"A body has at most {self._most_bytes} bytes.")
        except ClientDisconnect:
            raise Refused("malformed", "The body did not come.") from None  # nobody hears it
        return data


def _is_here(request: Request) -> bool:
    """Whether a request comes from this machine; what a proxy forwards does not."""
    if "x-forwarded-for" in request.headers or "forwarded" in request.headers:
        return False
    try:
        return ip_address(_address(request) or "").is_loopback
    except ValueError:
        return False


def _address(request: Request) -> str | None:
    return request.client.host if request.client else None


def _bearer(request: Request) -> str | None:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" and token.strip() else None
