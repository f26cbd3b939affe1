"""The wiring: everything a server is made of, constructed here, in order. Importing this has no effects.

``Server`` is one OS process that holds sockets: engine, hub, accounts, HTTP, and the background duties.
``serve`` runs it until a signal. Stopping is orderly: no new connections, goodbye to those that are open,
taken commands answered, then the engine; a second signal ends at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import math
import os
import secrets
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from typing import Any

import msgspec
import structlog
import uvicorn

from starwire import kinds, system
from starwire.app import App, Authenticate
from starwire.beat import Beat
from starwire.clock import Clock, SystemClock
from starwire.config import Settings
from starwire.engines import open_engine
from starwire.errors import ConfigurationError, Refused, Rejected
from starwire.gateway.accounts import Accounts
from starwire.gateway.arrivals import Arrivals
from starwire.gateway.auth import Authenticator, revoke_session
from starwire.gateway.http import build_http
from starwire.gateway.hub import Hub
from starwire.gateway.journeys import Journeys
from starwire.gateway.openid import ProviderTokens
from starwire.gateway.origin import Entrance, host_name
from starwire.gateway.passwords import Passwords
from starwire.gateway.sessions import RefreshTokens
from starwire.gateway.tokens import Tokens, load_secret
from starwire.gateway.websocket import serving, wrap
from starwire.openid import OpenID
from starwire.protocol import ErrorBody, digest, encode
from starwire.store.pruner import prune

log = structlog.get_logger("starwire.server")

CHECK_SECONDS = 1.0


class Uvicorn(uvicorn.Server):
    """uvicorn, with signals and a stop of our own.

    The first signal drains; a second one ends the OS process at once. ``serve`` returns instead of raising
    the signal again, so that a server that has stopped in order exits with 0.
    """

    def __init__(self, config: uvicorn.Config, drain: Callable[[], Awaitable[None]]) -> None:
        super().__init__(config)
        self._drain = drain

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Handle SIGINT and SIGTERM on the loop while serving."""
        loop = asyncio.get_running_loop()
        signals = (signal.SIGINT, signal.SIGTERM)
        try:
            for each in signals:
                loop.add_signal_handler(each, self._signalled, each)
        except (RuntimeError, ValueError):  # not the main thread: whoever runs us there stops us
            yield
            return
        try:
            yield
        finally:
            for each in signals:
                loop.remove_signal_handler(each)

    def _signalled(self, number: int) -> None:
        if self.should_exit:
            os._exit(128 + number)
        log.info("stopping", signal=signal.Signals(number).name)
        self.should_exit = True

    async def shutdown(self, sockets: Any = None) -> None:
        """Let nobody in, say goodbye, then uvicorn's own stop."""
        for server in self.servers:
            server.close()
        await self._drain()
        await super().shutdown(sockets)


class Server:
    """One OS process that holds sockets: a gateway, and with the embedded engine everything else too.

    Raises:
        ConfigurationError: a setting, the app, the data folder or the database is not usable.
    """

    def __init__(self, app: App, settings: Settings, *, clock: Clock | None = None) -> None:
        auth = _chosen_auth(app, settings)
        self.app = app
        self.settings = settings
        self.limits = settings.limits
        self.clock = clock or SystemClock()
        self.name = secrets.token_hex(4)
        self.arrivals = Arrivals(self.limits, self.clock)
        self.registry = app.registry(system.module)
        self._tasks: set[asyncio.Task[None]] = set()
        self.opened = open_engine(app, self.registry, settings, self.clock, gateway=self.name)
        self.engine = self.opened.engine
        self.database = self.opened.database
        self.passwords = Passwords(self.limits)
        self.accounts: Accounts | None = None
        authenticate = self._authenticate(auth)
        self.hub = Hub(self.registry, self.engine, self.clock, self.limits, authenticate, wrap=wrap)
        self.journeys = Journeys(self.clock, self.limits)
        if settings.dev:
            self.hub.journeys = self.journeys
            self.engine.observe = self.journeys.executed
        self.beat = Beat(
            self.engine,
            self.hub,
            self.clock,
            self.limits,
            gateway=f"{socket.gethostname()}:{settings.port or self.name}",
        )
        self.uvicorn = Uvicorn(self._uvicorn_config(), self._drain)
        app.submitter = self._submit
        app.signer_out = functools.partial(revoke_session, self.engine)

    def _authenticate(self, auth: Authenticate | OpenID | None) -> Authenticate:
        """Whom tokens are asked of; the built-in accounts are made if it is nobody else."""
        if isinstance(auth, OpenID):
            return ProviderTokens(auth, self.clock, self.limits)
        if auth is not None:
            return auth
        secret = load_secret(self.settings.data)
        tokens = Tokens(secret, self.clock, access_seconds=self.limits.access_seconds)
        self.accounts = Accounts(
            self.engine,
            tokens=tokens,
            refresh_tokens=RefreshTokens(secret),
            passwords=self.passwords,
            clock=self.clock,
            limits=self.limits,
        )
        return Authenticator(tokens, self.engine)

    def _uvicorn_config(self) -> uvicorn.Config:
        settings = self.settings
        hosts = (*settings.hosts, host_name(settings.host))
        entrance = Entrance(hosts=hosts, origins=settings.origins, proxies=settings.trusted_proxies)
        http = build_http(
            self.app,
            self.registry,
            self.accounts,
            ready=self.beat.ready,
            journeys=self.journeys.latest,
            hosts=hosts,
            origins=settings.origins,
            metrics_token=settings.metrics_token,
            body_bytes=self.limits.auth_body_bytes,
            dev=settings.dev,
            lifespan=self._lifespan,
        )
        return uvicorn.Config(
            http,
            host=settings.host,
            port=settings.port,
            http=self.arrivals.protocol(),
            ws=serving(self.limits, self.hub.open, entrance),
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=bool(settings.trusted_proxies),
            forwarded_allow_ips=list(settings.trusted_proxies) or None,
            timeout_graceful_shutdown=math.ceil(self.limits.drain_seconds),
            lifespan="on",
        )

    async def serve(self) -> None:
        """Serve until a signal, or until ``stop`` is called."""
        await self.uvicorn.serve()

    def stop(self) -> None:
        """Stop in order, as SIGTERM does."""
        self.uvicorn.should_exit = True

    @property
    def url(self) -> str:
        """Where the server is reached."""
        host = self.settings.host
        shown = "127.0.0.1" if host in {"0.0.0.0", "::"} else host  # noqa: S104 - all addresses, shown as one
        return f"http://{f'[{shown}]' if ':' in shown else shown}:{self.port}"

    @property
    def port(self) -> int:
        """The port that is listened on; it differs from the setting when that is 0."""
        for server in getattr(self.uvicorn, "servers", []):
            for sock in server.sockets:
                return int(sock.getsockname()[1])
        return self.settings.port

    @contextlib.asynccontextmanager
    async def _lifespan(self, _: object) -> AsyncIterator[None]:
        await self.engine.start()
        self._every(CHECK_SECONDS, self._check)
        self._every(self.limits.beat_seconds, self._beat)
        self._every(self.limits.prune_seconds, self._prune)
        if self.engine.broker.lossy:
            self._every(self.limits.heads_seconds, self.hub.compare_heads)
            self.engine.broker.on_reconnect(self.hub.compare_heads_soon)
        try:
            yield
        finally:
            self.app.submitter = self.app.signer_out = None
            for task in self._tasks:
                task.cancel()
            await self.engine.stop()
            self.passwords.close()
            with contextlib.suppress(FileNotFoundError):
                self.settings.server_file.unlink()
            self.opened.close()

    def _every(self, seconds: float, duty: Callable[[], Awaitable[None]]) -> None:
        async def run() -> None:
            while True:
                try:
                    await duty()
                except Exception:
                    log.exception("duty_failed", duty=duty.__name__)
                await asyncio.sleep(seconds)

        task = asyncio.get_running_loop().create_task(run())
        self._tasks.add(task)

    def look(self) -> None:
        """Look at the deadlines of all connections, as is done each second."""
        self.arrivals.check()
        self.hub.check()

    async def _check(self) -> None:
        self.look()

    async def _beat(self) -> None:
        self.beat.run_once()

    async def _prune(self) -> None:
        more = True
        while more:
            more = await self.engine.write(lambda tx: prune(tx, self.clock.now(), self.limits))

    async def _drain(self) -> None:
        await self.hub.drain("restart", self.limits.drain_seconds)

    async def _submit(self, player: str, order: kinds.Command, id: str | None) -> Any:
        command = system.internal(order, player=player, partitions=self.engine.partitions)
        if id is not None:
            command = msgspec.structs.replace(command, id=id, digest=digest(command.name, command.args))
        answered: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self.engine.submit(command, answered.set_result)
        reply = msgspec.json.decode(await answered)
        if reply["ok"]:
            return reply["result"]
        error = msgspec.convert(reply["error"], ErrorBody)
        details = error.details if isinstance(error.details, dict) else {}
        if isinstance(error.reason, str):
            raise Rejected(error.reason, error.message, **details)
        after = error.retry_after if isinstance(error.retry_after, float) else None
        raise Refused(error.code, error.message, retry_after=after, **details)


def _chosen_auth(app: App, settings: Settings) -> Authenticate | OpenID | None:
    provider = settings.openid
    if app.auth is not None and provider is not None:
        raise ConfigurationError(
            f"STARWIRE_OPENID_ISSUER is {provider.issuer!r}, but the app {app.name!r} has an auth of its own;"
            " only one can say who a player is"
        )
    return app.auth or provider


async def serve(app: App, settings: Settings, *, started: Callable[[Server], None]) -> None:
    """Run a server until a signal; ``started`` is called when it listens.

    Raises:
        ConfigurationError: a setting, the app, the data folder or the database is not usable.
    """
    server = Server(app, settings)

    async def announce() -> None:
        while not server.uvicorn.started:  # noqa: ASYNC110 - uvicorn has no event to await
            await asyncio.sleep(0.01)
        facts = {"url": server.url, "pid": os.getpid()}
        settings.server_file.write_bytes(encode(facts))
        started(server)

    task = asyncio.get_running_loop().create_task(announce())
    try:
        await server.serve()
    finally:
        task.cancel()
