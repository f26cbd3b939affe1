"""What a client raises. Codes that come from the server are those of ``starwire.errors``; four are its own.

``closed`` (the client was closed, or refused for good, before an answer came), ``timeout`` (``sent`` says
whether it may have happened), ``queue_full`` and ``too_large`` (it was not sent).
"""

from __future__ import annotations

from typing import Any

from starwire.errors import StarwireError


class CommandError(StarwireError):
    """A command or view that was refused: what the reply's ``error`` says.

    ``retry_after`` is in seconds. ``sent`` is False when it never left this machine, or was refused before
    anything could happen.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        command: str | None = None,
        reason: str | None = None,
        details: Any = None,
        retry: bool = False,
        retry_after: float | None = None,
        sent: bool = False,
    ) -> None:
        super().__init__(f"{command}: {reason or code}: {message}")
        self.code = code
        self.message = message
        self.command = command
        self.reason = reason
        self.details = details
        self.retry = retry
        self.retry_after = retry_after
        self.sent = sent


class AuthError(StarwireError):
    """A refusal of ``/auth/…``: ``status`` is the HTTP status, 0 when the server could not be reached."""

    def __init__(self, code: str, message: str, *, status: int = 0, retry_after: float | None = None) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status
        self.retry_after = retry_after

    @property
    def final(self) -> bool:
        """Trying the same again cannot help: the credentials themselves were refused."""
        return 400 <= self.status < 500 and self.status not in {408, 429}


class Lagged(StarwireError):
    """Who reads ``pushes()`` was so slow that some were dropped: read the state again, and begin anew."""


def closed(command: str | None, why: str, *, sent: bool = False) -> CommandError:
    """The error of a command that a closed client has left without an answer."""
    return CommandError("closed", f"The connection is closed: {why}.", command=command, sent=sent)


def timed_out(command: str, *, sent: bool) -> CommandError:
    """The error of a command that nobody waits for any longer."""
    message = (
        "No answer came in time; whether it happened is not known."
        if sent
        else "There was no connection in time: it was not sent, and did not happen."
    )
    return CommandError("timeout", message, command=command, sent=sent)


def refusal(frame: dict[str, Any], command: str | None, *, doubt: bool = False) -> CommandError:
    """The error that a reply carries; ``doubt``: it was also sent on a connection that was lost."""
    error = frame.get("error") or {}
    code = str(error.get("code", "internal"))
    return CommandError(
        code,
        str(error.get("message", code)),
        command=command,
        reason=error.get("reason"),
        details=error.get("details"),
        retry=error.get("retry") is True,
        retry_after=error.get("retry_after"),
        sent=doubt or error.get("retry") is not True,
    )
