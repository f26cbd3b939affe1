"""What every answer over HTTP looks like: errors as JSON or as a page, and the headers that protect pages.

One table says which HTTP status an error code has.
"""

from __future__ import annotations

import html
import math
import re
from collections.abc import Collection
from typing import Any

import msgspec
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from starwire.errors import Refused
from starwire.gateway.origin import is_ours, not_ours

STATUS = {
    "malformed": 400,
    "invalid_args": 400,
    "unauthorized": 401,
    "foreign_origin": 403,
    "not_found": 404,
    "method_not_allowed": 405,
    "name_taken": 409,
    "registered": 409,
    "rotated": 409,
    "too_large": 413,
    "unsupported_media_type": 415,
    "unknown_host": 421,
    "rate_limited": 429,
    "internal": 500,
    "overloaded": 503,
    "unavailable": 503,
}
API = ("/auth/", "/dev/schema", "/dev/journeys", "/healthz", "/readyz", "/metrics", "/ws")
_HOST = re.compile(r"[A-Za-z0-9.\-:\[\]]+")  # anything else could write a policy of its own


def json_response(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A value as JSON that nobody keeps."""
    headers = {"Cache-Control": "no-store", **(headers or {})}
    return Response(msgspec.json.encode(value), status, headers, media_type="application/json")


def error_response(error: Refused, headers: dict[str, str] | None = None) -> Response:
    """``{"error": {"code", "message", "retry_after"?}}`` with the status of its code."""
    body: dict[str, Any] = {"code": error.code, "message": error.message}
    headers = dict(headers or {})
    if error.retry_after is not None:
        body["retry_after"] = round(error.retry_after, 3)
        headers["Retry-After"] = str(math.ceil(error.retry_after))
    if error.code == "unauthorized":
        headers["WWW-Authenticate"] = "Bearer"
    return json_response({"error": body}, STATUS[error.code], headers)


async def on_refused(_: Request, error: Exception) -> Response:
    """The framework's own refusals."""
    return error_response(error if isinstance(error, Refused) else Refused("internal", "The server failed."))


async def on_http_error(request: Request, error: Exception) -> Response:
    """404, 405 and whatever else Starlette raises: JSON for programs, a page for people."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    headers = dict(error.headers or {}) if isinstance(error, HTTPException) else {}
    path = request.url.path
    if status == 404:
        code, sentence = "not_found", f"There is nothing at {path}."
    elif status == 405:
        allowed = headers.get("Allow") or headers.get("allow") or "another method"
        code, sentence = "method_not_allowed", f"{path} takes {allowed}, not {request.method}."
    else:
        code, sentence = (
            "unavailable" if status == 503 else "internal",
            "The server failed. Its log has the reason.",
        )
        if status < 500:
            code, sentence = "malformed", str(getattr(error, "detail", "The request is wrong."))
    return _error(request, status, Refused(code, sentence), headers)


def _error(request: Request, status: int, error: Refused, headers: dict[str, str]) -> Response:
    if _wants_json(request):
        response = error_response(error, headers)
        response.status_code = status
        return response
    return HTMLResponse(_page(status, error.message), status, headers)


async def on_failure(request: Request, error: Exception) -> Response:
    """An exception that nobody expected; Starlette hands it on to the log."""
    return await on_http_error(request, error)


def _wants_json(request: Request) -> bool:
    if request.url.path.startswith(API):
        return True
    accepts = request.headers.get("accept", "")
    return "json" in accepts and "html" not in accepts


def _page(status: int, sentence: str) -> str:
    title = {404: "Not here", 405: "Not like this", 421: "Not under this name"}.get(status, "That went wrong")
    return (
        '<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width">\n'
        f"<title>{title}</title>\n<h1>{title}</h1>\n<p>{html.escape(sentence)}</p>\n"
        '<p><a href="/">Back to the beginning</a></p>\n</html>\n'
    )


class SecurityHeaders:
    """Adds to every response the headers that keep foreign code out of pages; a header that is there stays.

    A pure ASGI middleware: nothing is buffered.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and the response back with the headers."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        host = next((value for name, value in scope["headers"] if name == b"host"), b"").decode("latin-1")

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _protections(host).items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, send_with_headers)


class OwnHosts:
    """Refuses requests under a name that is not this server's. A pure ASGI middleware.

    Args:
        app: what the others are passed on to.
        hosts: the names of this server, as ``origin.is_ours`` takes them.
    """

    def __init__(self, app: ASGIApp, *, hosts: Collection[str]) -> None:
        self._app = app
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        if scope["type"] == "http":
            named = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
            if len(named) > 1 or not is_ours(named[0] if named else "", self._hosts):
                refusal = Refused("unknown_host", not_ours(named[0]))
                await _error(Request(scope), STATUS[refusal.code], refusal, {})(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _protections(host: str) -> dict[str, str]:
    # 'self' does not cover ws: in every browser, so the socket's address is spelt out.
    sockets = f" ws://{host} wss://{host}" if _HOST.fullmatch(host) else ""
    return {
        "Content-Security-Policy": (
            f"default-src 'self'; connect-src 'self'{sockets}; img-src 'self' data:; base-uri 'none';"
            " frame-ancestors 'none'; form-action 'self'; object-src 'none'"
        ),
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "same-origin",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    }
