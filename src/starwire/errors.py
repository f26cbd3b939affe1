"""What can go wrong, as one hierarchy and two tables.

::

    StarwireError
    ├── Rejected            a handler refuses: a reason, a sentence, details; nothing happened
    ├── Refused             the framework answers with an error code instead of a result
    ├── Unauthenticated     a token is refused
    ├── ConfigurationError  a setting or a declaration is wrong; raised before anything starts
    └── NotAllowed          a handler used ``tx`` in a way that the contract forbids

``ERROR_CODES`` says of each code whether the same command may be sent again; ``CLOSE_CODES`` says of
each close code whether the client should come back. Server, clients and documentation read these tables.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal


class StarwireError(Exception):
    """Base of every error that Starwire raises on purpose."""


class Rejected(StarwireError):
    """A refusal by the game: nothing happened, and the player is told why.

    Args:
        reason: a machine-readable word, for example ``"not_enough_metal"``.
        message: one sentence for people.
        details: JSON-encodable values that a page can use, for example ``need=60, have=12``.

    In a process it means ``failed``, without a retry.
    """

    def __init__(self, reason: str, message: str, **details: Any) -> None:
        super().__init__(f"{reason}: {message}")
        self.reason = reason
        self.message = message
        self.details = details


class Refused(StarwireError):
    """The framework's own refusal of a frame: one of ``ERROR_CODES``, with a sentence."""

    def __init__(self, code: str, message: str, *, retry_after: float | None = None, **details: Any) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.retry_after = retry_after
        self.details = details


class Unauthenticated(StarwireError):
    """A token is refused: expired or not valid, or its session was ``revoked`` (then do not come back)."""

    def __init__(self, message: str, *, revoked: bool = False) -> None:
        super().__init__(message)
        self.message = message
        self.revoked = revoked


class ConfigurationError(StarwireError):
    """A setting or a declaration is wrong. The text is one line that names what and where."""


class NotAllowed(StarwireError):
    """A handler asked of its transaction something that the contract forbids."""


@dataclass(frozen=True, slots=True)
class ErrorCode:
    """One code that a reply's ``error`` may carry."""

    code: str
    retry: bool
    meaning: str


@dataclass(frozen=True, slots=True)
class CloseCode:
    """One code with which the server closes a connection."""

    code: int
    name: str
    reconnect: Literal["advised", "backoff", "later", "new_token", "never"]
    meaning: str


ERROR_CODES: dict[str, ErrorCode] = {
    row.code: row
    for row in (
        ErrorCode("malformed", False, "The frame is not a JSON object."),
        ErrorCode("missing_command", False, "The frame has no `command` that is a string."),
        ErrorCode("unknown_command", False, "No command or view has this name."),
        ErrorCode("invalid_args", False, "The id or an argument is missing or wrong; the message names it."),
        ErrorCode("rejected", False, "The game refused, for `reason`; nothing happened."),
        ErrorCode("unauthorized", False, "The token is not valid, or the player may not do this."),
        ErrorCode("rate_limited", True, "Too many commands; send again after `retry_after` seconds."),
        ErrorCode("overloaded", True, "The server is full; send again after `retry_after` seconds."),
        ErrorCode("too_large", False, "The frame or its result exceeds a limit."),
        ErrorCode("unavailable", True, "Not carried out, and it can no longer happen; send again."),
        ErrorCode("internal", False, "The handler failed; the server's log has the reason."),
    )
}

CLOSE_CODES: dict[int, CloseCode] = {
    row.code: row
    for row in (
        CloseCode(1001, "going_away", "advised", "The server stops; come back after the advised time."),
        CloseCode(1002, "protocol_error", "backoff", "The bytes were not valid WebSocket frames."),
        CloseCode(1007, "invalid_payload", "backoff", "A text frame was not valid UTF-8."),
        CloseCode(1009, "too_big", "backoff", "A frame was larger than the limit that hello tells."),
        CloseCode(1011, "internal_error", "backoff", "The server failed."),
        CloseCode(1012, "restart", "advised", "The server restarts; come back after the advised time."),
        CloseCode(4400, "abuse", "later", "Too many bad frames."),
        CloseCode(4401, "token_expired", "new_token", "No token, or it has expired; get a new one."),
        CloseCode(4403, "refused", "never", "The token was refused, or its session was revoked."),
        CloseCode(4408, "no_hello", "backoff", "No hello arrived in time."),
        CloseCode(4429, "too_many_connections", "later", "Too many connections."),
    )
}


def first_line(error: BaseException) -> str:
    """What a log says of an error that may pass: drivers add the statement and a link below it."""
    return str(error).partition("\n")[0]
