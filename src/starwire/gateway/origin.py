"""Which requests may come in: one rule for the socket, one for ``/auth`` and all pages. No I/O.

Two headers say where a browser is. ``Host`` is the name under which the page reaches this server: a name that
is not ours is somebody else's that was pointed at our address (DNS rebinding), and its pages would pass for
our own. ``Origin`` is whose page it is. Other programs name what they like, and cannot be tricked by a page.
"""

from __future__ import annotations

from collections.abc import Collection
from ipaddress import ip_address, ip_network

from websockets.datastructures import Headers

_DEFAULT_PORTS = {"http": ":80", "https": ":443"}
_SCHEMES = {"ws": "http", "wss": "https"}
ANY_HOST = "*"


def is_allowed(origin: str | None, *, scheme: str, host: str, allowlist: Collection[str] = ()) -> bool:
    """Whether a request that names this origin may be served. Exact match, nothing else.

    Args:
        origin: the ``Origin`` header; None when there is none (then it is no browser).
        scheme: of the request: ``http``, ``https``, ``ws`` or ``wss``, as the browser sees it.
        host: the ``Host`` header, which ``is_ours``.
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


def is_ours(host: str, names: Collection[str] = ()) -> bool:
    """Whether this server may be reached under a ``Host`` header.

    Args:
        host: the header, with or without a port; empty when there is none (then it is no browser).
        names: the names of this server, as ``host_name`` writes them; ``*`` for any.

    Always allowed are ``localhost``, whatever ends in ``.localhost``, and addresses: nobody can point those
    elsewhere.
    """
    name = host_name(host)
    if not host or ANY_HOST in names or name in names:
        return True
    return name == "localhost" or name.endswith(".localhost") or _is_address(name)


def host_name(host: str) -> str:
    """A host as it is compared: lower case, without port, brackets and the root's dot."""
    host = host.strip().lower()
    if host.startswith("["):
        address, _, rest = host[1:].partition("]")
        return address if not rest or rest.startswith(":") else host
    if host.count(":") > 1:  # an address of IPv6 as settings write it
        return host
    return host.partition(":")[0].removesuffix(".")


def not_ours(host: str) -> str:
    """What is said to whoever comes under a name that is not ours."""
    shown = host_name(host)[:100].encode("ascii", "replace").decode()
    return f"This server does not answer to the name {shown!r}; its names are in STARWIRE_HOSTS (--hosts)."


class Entrance:
    """Who may open a socket, and from where they come.

    Args:
        hosts: the names of this server.
        origins: other origins whose pages may connect.
        proxies: networks whose ``X-Forwarded`` headers are believed.
    """

    def __init__(
        self, *, hosts: Collection[str] = (), origins: Collection[str] = (), proxies: Collection[str] = ()
    ) -> None:
        self._hosts = hosts
        self._origins = origins
        self._proxies = [ip_network(each) for each in proxies]

    def refusal(self, headers: Headers, peer: str, *, tls: bool) -> tuple[int, str] | None:
        """Why a request may not become a socket, as status and sentence; None when it may.

        Args:
            headers: of the upgrade request.
            peer: the address at the other end of the TCP connection.
            tls: whether that connection is encrypted.
        """
        hosts, origins = headers.get_all("Host"), headers.get_all("Origin")
        if len(hosts) > 1 or len(origins) > 1:
            return 400, "Host and Origin are named once."
        host = hosts[0] if hosts else ""
        if not is_ours(host, self._hosts):
            return 421, not_ours(host)
        forwarded = self._trusts(peer) and headers.get_all("X-Forwarded-Proto") == ["https"]
        scheme = "https" if tls or forwarded else "http"
        origin = origins[0] if origins else None
        if not is_allowed(origin, scheme=scheme, host=host, allowlist=self._origins):
            return 403, "This origin is not allowed; see STARWIRE_ORIGINS."
        return None

    def address(self, headers: Headers, peer: str) -> str:
        """The client's address: the peer's, or what the nearest proxy that we trust has written.

        Each proxy writes at the end whom it serves, so the list is read from its end, past our own proxies.
        """
        address = peer
        forwarded = ",".join(headers.get_all("X-Forwarded-For")).split(",")
        while forwarded and self._trusts(address):
            named = forwarded.pop().strip()
            if not named:
                break
            address = host_name(named) if named.count(":") == 1 or named.startswith("[") else named
        return address

    def _trusts(self, peer: str) -> bool:
        """Whether the peer is one of the proxies whose headers are believed."""
        return _is_address(peer) and any(ip_address(peer) in network for network in self._proxies)


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
