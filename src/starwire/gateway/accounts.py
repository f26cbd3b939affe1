"""Accounts: guests at once, names and passwords when somebody wants to stay. ``http.py`` puts it on the wire.

Every refusal is a ``Refused`` whose code says what kind (``invalid_args``, ``unauthorized``, ``name_taken``,
``registered``, ``rotated``, ``rate_limited``, ``overloaded``) and whose message says what would be right. An
unknown name and a wrong password are one refusal, after the same work.
"""

from __future__ import annotations

import msgspec
import structlog
from sqlalchemy import Connection, insert, select, update
from sqlalchemy.exc import IntegrityError

from starwire.clock import Clock
from starwire.engine import Engine
from starwire.errors import Refused, Unauthenticated
from starwire.gateway import sessions
from starwire.gateway.attempts import Attempts
from starwire.gateway.auth import revoke_session
from starwire.gateway.names import checked_name, checked_password, folded, guest_name
from starwire.gateway.passwords import Passwords
from starwire.gateway.sessions import Outcome, RefreshTokens
from starwire.gateway.tokens import Tokens
from starwire.limits import Limits
from starwire.store import tables

log = structlog.get_logger("starwire.accounts")

_account = tables.account.c


class SignedIn(msgspec.Struct, frozen=True):
    """What a client gets: who it is, and its tokens. ``expires_in`` is the access token's life in seconds."""

    player: str
    name: str
    access_token: str
    refresh_token: str
    expires_in: int


class Account(msgspec.Struct, frozen=True):
    """An account as its table holds it."""

    id: int
    name: str
    login: str | None
    password: str | None
    operator: bool


class Accounts:
    """Guest, register, login, refresh, logout.

    Args:
        engine: where accounts and sessions are read and written.
        tokens: signs access tokens.
        refresh_tokens: makes and hashes refresh tokens.
        passwords: the hashing pool; whoever made it closes it.
        clock: what time it is.
        limits: lives, lengths and rates.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        tokens: Tokens,
        refresh_tokens: RefreshTokens,
        passwords: Passwords,
        clock: Clock,
        limits: Limits,
    ) -> None:
        self._engine = engine
        self._tokens = tokens
        self._refresh = refresh_tokens
        self._passwords = passwords
        self._clock = clock
        self._limits = limits
        self._life = limits.refresh_days * 86_400 * 1_000_000
        self._attempts = Attempts(limits)

    async def guest(self, *, address: str | None) -> SignedIn:
        """Make an account without a password.

        Raises:
            Refused: ``rate_limited``.
        """
        self._attempts.new_account(address, self._clock.monotonic())
        refresh_token = self._refresh.first()
        now = self._clock.now()

        def work(connection: Connection) -> tuple[Account, str]:
            account = add_account(connection, now)
            return account, self._open(connection, account, refresh_token, now)

        account, session = await self._engine.write(work)
        log.info("guest", player=str(account.id))
        return self._signed(account, session, refresh_token)

    async def register(
        self, name: str, password: str, *, address: str | None, access_token: str | None = None
    ) -> SignedIn:
        """Make an account with name and password; a guest's access token makes it of that guest.

        The guest keeps its player id and with it everything it has. Its session goes on with a new token.

        Raises:
            Refused: ``invalid_args``, ``name_taken``, ``registered`` (the token is of somebody who has a name
                already), ``unauthorized`` (the token is not valid), ``rate_limited``, ``overloaded``.
        """
        name = checked_name(name)
        password = checked_password(password, self._limits)
        guest = None if access_token is None else self._guest_of(access_token)
        self._attempts.new_account(address, self._clock.monotonic())
        taken = Refused("name_taken", f"The name “{name}” is taken; choose another.")
        if await self._engine.read(lambda connection: find_login(connection, folded(name))) is not None:
            raise taken
        kept = await self._passwords.hash(password)
        refresh_token = self._refresh.first()
        now = self._clock.now()

        def work(connection: Connection) -> tuple[Account, str] | Refused:
            if guest is None:
                account = add_account(connection, now, name=name, password=kept)
                return account, self._open(connection, account, refresh_token, now)
            upgraded = self._upgrade(connection, guest, name, kept, token=refresh_token, now=now)
            return upgraded if isinstance(upgraded, Refused) else (upgraded, guest[1])

        try:
            outcome = await self._engine.write(work)
        except IntegrityError:
            raise taken from None  # somebody was faster
        if isinstance(outcome, Refused):
            raise outcome
        account, session = outcome
        self._attempts.succeeded(folded(name), address)
        log.info("registered", player=str(account.id), guest=guest is not None)
        return self._signed(account, session, refresh_token)

    async def login(self, name: str, password: str, *, address: str | None) -> SignedIn:
        """Sign in with name and password.

        Raises:
            Refused: ``unauthorized``, ``rate_limited`` (``attempts.py`` says when), ``overloaded``.
        """
        login = folded(name)
        self._attempts.login(login, address, self._clock.monotonic())
        account = await self._engine.read(lambda connection: find_login(connection, login))
        try:
            password = checked_password(password, self._limits)
        except Refused:
            password = ""  # no account has it; the work is done all the same
        if not await self._passwords.verify(None if account is None else account.password, password):
            self._attempts.failed(login, address, self._clock.monotonic())
            log.warning("login_refused", address=address)
            raise Refused("unauthorized", "The name or the password is wrong.")
        assert account is not None  # noqa: S101 -- no password of nobody is right
        self._attempts.succeeded(login, address)
        await self._rehash(account, password)
        refresh_token = self._refresh.first()
        now = self._clock.now()
        session = await self._engine.write(
            lambda connection: self._open(connection, account, refresh_token, now)
        )
        log.info("login", player=str(account.id))
        return self._signed(account, session, refresh_token)

    async def refresh(self, refresh_token: str, *, address: str | None) -> SignedIn:
        """Exchange a refresh token for new tokens. ``sessions.py`` says what its second use means.

        Raises:
            Refused: ``unauthorized`` (sign in again), ``rotated`` (read the token that was stored since), or
                ``rate_limited``.
        """
        self._attempts.renewal(address, self._clock.monotonic())
        digest = self._refresh.digest(refresh_token)
        unknown = Refused("unauthorized", "The refresh token is not valid any more; sign in again.")
        if not await self._engine.read(lambda connection: sessions.is_known(connection, digest)):
            raise unknown
        now = self._clock.now()

        def work(connection: Connection) -> tuple[sessions.Refreshed, Account | None]:
            done = sessions.rotate(connection, refresh_token, self._refresh, now=now, life=self._life)
            return done, find_account(connection, done.account)

        refreshed, account = await self._engine.write(work)
        if refreshed.outcome is Outcome.SUPERSEDED:
            raise Refused("rotated", "The session has a newer refresh token; use that one.")
        if refreshed.outcome is Outcome.REUSED:
            log.warning("refresh_token_reused", player=str(refreshed.account))
            await revoke_session(self._engine, str(refreshed.account), refreshed.session)
        if refreshed.outcome is not Outcome.ROTATED or account is None:
            raise unknown
        return self._signed(account, refreshed.session, refreshed.refresh_token)

    async def logout(
        self, refresh_token: str | None, *, access_token: str | None = None, address: str | None
    ) -> None:
        """End the session of either token: its tokens are void, its connections are closed.

        A session that is over already is none to refuse.

        Raises:
            Refused: ``rate_limited``.
        """
        self._attempts.renewal(address, self._clock.monotonic())
        identity = None
        if access_token is not None:
            try:
                identity = self._tokens.verify(access_token)
            except Unauthenticated:
                identity = None
        digest = None if refresh_token is None else self._refresh.digest(refresh_token)

        def work(connection: Connection) -> list[tuple[str, str]]:
            found = []
            if digest is not None and (row := sessions.session_of(connection, digest)) is not None:
                found.append((row[0], str(row[1])))
            if identity is not None and identity.session is not None:
                found.append((identity.session, identity.sub))
            return [each for each in found if sessions.end_session(connection, each[0])]

        for session, player in await self._engine.write(work):
            log.info("logout", player=player)
            await revoke_session(self._engine, player, session)

    def _guest_of(self, access_token: str) -> tuple[int, str]:
        """(account, session) that a guest's token names."""
        try:
            identity = self._tokens.verify(access_token)
        except Unauthenticated as error:
            raise Refused("unauthorized", error.message) from None
        if identity.session is None or not (identity.sub.isdecimal() and len(identity.sub) < 19):
            raise Refused("unauthorized", "The access token is not a guest's.")
        return int(identity.sub), identity.session

    def _upgrade(
        self, connection: Connection, guest: tuple[int, str], name: str, kept: str, *, token: str, now: int
    ) -> Account | Refused:
        id, session = guest
        account = find_account(connection, id)
        if account is not None and account.login is not None:
            return Refused(
                "registered", f"You are “{account.name}” already; sign out to make another account."
            )
        digest = self._refresh.digest(token)
        life = self._life
        if account is None or not sessions.replace_token(connection, session, id, digest, now=now, life=life):
            return Refused("unauthorized", "The guest's session was signed out.")
        values = {"name": name, "login": folded(name), "password": kept}
        connection.execute(update(tables.account).where(_account.id == id).values(values))
        return Account(id, name, folded(name), kept, account.operator)

    async def _rehash(self, account: Account, password: str) -> None:
        if account.password is not None and self._passwords.is_outdated(account.password):
            kept = await self._passwords.hash(password)
            statement = update(tables.account).where(_account.id == account.id).values(password=kept)
            await self._engine.write(lambda connection: connection.execute(statement).rowcount)

    def _open(self, connection: Connection, account: Account, refresh_token: str, now: int) -> str:
        digest = self._refresh.digest(refresh_token)
        return sessions.open_session(connection, account.id, digest, now=now, life=self._life)

    def _signed(self, account: Account, session: str, refresh_token: str) -> SignedIn:
        player = str(account.id)
        access = self._tokens.sign(player, name=account.name, session=session, operator=account.operator)
        return SignedIn(player, account.name, access, refresh_token, self._tokens.access_seconds)


def add_account(
    connection: Connection, now: int, *, name: str | None = None, password: str | None = None
) -> Account:
    """Make an account; without a name it is a guest's."""
    login = None if name is None else folded(name)
    values = {"name": name or "", "login": login, "password": password, "created_at": now}
    id = connection.execute(insert(tables.account).values(values).returning(_account.id)).scalar_one()
    if name is None:
        name = guest_name(id)
        connection.execute(update(tables.account).where(_account.id == id).values(name=name))
    return Account(id, name, login, password, operator=False)


_columns = (_account.id, _account.name, _account.login, _account.password, _account.operator)


def find_login(connection: Connection, login: str) -> Account | None:
    """The account with this folded name."""
    row = connection.execute(select(*_columns).where(_account.login == login)).first()
    return None if row is None else Account(*row[:4], operator=bool(row[4]))


def find_account(connection: Connection, id: int) -> Account | None:
    """The account with this id."""
    row = connection.execute(select(*_columns).where(_account.id == id)).first()
    return None if row is None else Account(*row[:4], operator=bool(row[4]))
