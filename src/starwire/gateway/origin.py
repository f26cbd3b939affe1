"""Which web pages may talk to this server: one rule, for the socket and for ``/auth``.

Browsers name the page's origin; other programs name none, and cannot be tricked by a page. No I/O.
"""

from __future__ import annotations

from collections.abc import Collection

_DEFAULT_PORTS = {"http": ":80", "https": ":443"}
_SCHEMES = {"ws": "http", "wss": "https"}


def is_allowed(origin: str | None, *, scheme: str, host: str, allowlist: Collection[str] = ()) -> bool:
    """Whether a request that names this origin may be served. Exact match, nothing else.

    Args:
        origin: the ``Origin`` header; None when there is none (then it is no browser).
        scheme: of the request: ``http``, ``https``, ``ws`` or ``wss``, as the browser sees it.
        host: the ``Host`` header.
        allowlist: other origins that may, as ``normal`` writes them.

    The page's own origin is always allowed; ``null`` (a sandboxed frame, a file) never is.
    """
    if origin is None:
        return True
    named = normal(origin)
    return named is not None and (named == normal(f"{scheme}://{host}") or named in allowlist)


def normal(origin: str) -> str | None:
    """An origin as it is compared: lower case, without the scheme's own port; None if it is no web origin."""
    scheme, separator, host = origin.strip().lower().partition("://")
    scheme = _SCHEMES.get(scheme, scheme)
    if not separator or scheme not in _DEFAULT_PORTS or not host or any(c in host for c in "/?#@*\\ "):
        return None
    return f"{scheme}://{host.removesuffix(_DEFAULT_PORTS[scheme])}"
