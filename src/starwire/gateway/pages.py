"""Files for browsers, as they are: an ES module needs no build step.

Every file is asked for again each time (``no-cache``) and costs a 304 when nothing changed, so that a page
never mixes the modules of two versions.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Collection
from pathlib import Path

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.staticfiles import NotModifiedResponse, StaticFiles
from starlette.types import Scope

# Not the machine's own table: on some a .js file is text/plain, which browsers refuse as a module.
MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".gif": "image/gif",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".jpg": "image/jpeg",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".map": "application/json",
    ".md": "text/plain; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".mp3": "audio/mpeg",
    ".ogg": "audio/ogg",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".ts": "text/plain; charset=utf-8",
    ".txt": "text/plain; charset=utf-8",
    ".wasm": "application/wasm",
    ".webmanifest": "application/manifest+json",
    ".webp": "image/webp",
    ".woff2": "font/woff2",
}


class Pages(StaticFiles):
    """The files below a folder whose kind is in ``MEDIA_TYPES``; no listings, nothing hidden, no way out.

    Args:
        folder: what is served.
        hidden: names in it that are not.
    """

    def __init__(self, folder: Path, *, hidden: Collection[str] = ()) -> None:
        super().__init__(directory=folder)
        self._hidden = frozenset(hidden)

    async def get_response(self, path: str, scope: Scope) -> Response:
        """The file, or 404."""
        parts = Path(path).parts
        if any(part.startswith(".") for part in parts) or (parts and parts[0] in self._hidden):
            raise HTTPException(404)
        if Path(path).suffix.lower() not in MEDIA_TYPES:
            raise HTTPException(404)
        return await super().get_response(path, scope)

    def file_response(
        self,
        full_path: str | os.PathLike[str],
        stat_result: os.stat_result,
        scope: Scope,
        status_code: int = 200,
    ) -> Response:
        """With our media type, and ``no-cache``."""
        response = _file(Path(full_path), stat_result, status_code)
        if self.is_not_modified(response.headers, Headers(scope=scope)):
            return NotModifiedResponse(response.headers)
        return response


def page(path: Path) -> Callable[[Request], Awaitable[Response]]:
    """An endpoint that serves one file."""
    pages = Pages(path.parent)

    async def endpoint(request: Request) -> Response:
        return await pages.get_response(path.name, request.scope)

    return endpoint


def _file(path: Path, stat_result: os.stat_result, status: int) -> FileResponse:
    return FileResponse(
        path,
        status,
        headers={"Cache-Control": "no-cache"},
        media_type=MEDIA_TYPES[path.suffix.lower()],
        stat_result=stat_result,
    )
