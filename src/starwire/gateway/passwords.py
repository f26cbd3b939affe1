"""Passwords: argon2id in a bounded pool of threads, so that logins neither hold up the loop nor pile up.

The parameters are those of the library, RFC 9106's for little memory: 64 MiB and some tens of milliseconds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import argon2

from starwire.errors import Refused
from starwire.limits import Limits

T = TypeVar("T")


class Passwords:
    """Hashes and verifies. Past ``limits.hashing_queue`` it refuses with ``overloaded``."""

    def __init__(self, limits: Limits, hasher: argon2.PasswordHasher | None = None) -> None:
        self._hasher = hasher or argon2.PasswordHasher()
        self._limits = limits
        self._threads = ThreadPoolExecutor(limits.hashing_threads, thread_name_prefix="starwire-hashing")
        self._waiting = 0
        self._nobody: str | None = None

    def close(self) -> None:
        """End the threads; what they are at is finished first."""
        self._threads.shutdown()

    async def hash(self, password: str) -> str:
        """The hash to keep.

        Raises:
            Refused: ``overloaded``.
        """
        return await self._run(lambda: self._hasher.hash(password))

    async def verify(self, kept: str | None, password: str) -> bool:
        """Whether the password is the one of this hash.

        For None (there is no such account, or it has no password) the same work is done for nothing, so that
        the time of the answer does not tell.

        Raises:
            Refused: ``overloaded``.
        """

        def check() -> bool:
            if self._nobody is None:
                self._nobody = self._hasher.hash("nobody")
            try:
                self._hasher.verify(kept or self._nobody, password)
            except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
                return False
            return kept is not None

        return await self._run(check)

    def is_outdated(self, kept: str) -> bool:
        """Whether the hash was made with other parameters than today's."""
        return self._hasher.check_needs_rehash(kept)

    async def _run(self, work: Callable[[], T]) -> T:
        if self._waiting >= self._limits.hashing_queue:
            raise Refused(
                "overloaded",
                "Too many people are signing in at this moment.",
                retry_after=self._limits.overloaded_seconds,
            )
        self._waiting += 1
        future = asyncio.get_running_loop().run_in_executor(self._threads, work)
        future.add_done_callback(self._done)
        return await asyncio.shield(future)  # who goes away meanwhile gives no room back yet

    def _done(self, _: object) -> None:
        self._waiting -= 1
