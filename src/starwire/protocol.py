"""The frames of ``starwire.v1``, as bytes in and bytes out; no I/O.

Every client frame is a JSON object with a ``command``, an optional ``id`` and optional ``args``. Every
server frame is a JSON object with a ``type``: ``reply``, ``push``, ``resync``, ``status`` or ``goodbye``.
``parse`` either returns a ``ClientFrame`` or raises ``BadFrame``, which holds the reply to send; whatever
bytes come in, it raises nothing else.

Next hop: ``gateway/connection.py`` decides what a frame means for its connection.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from starwire.errors import ERROR_CODES, Refused, Rejected

SUBPROTOCOL = "starwire.v1"
BUILT_IN = frozenset({"hello", "refresh", "ping", "processes"})
NOT_JSON = "JSON. JSON please"

T = TypeVar("T")

_encoder = msgspec.json.Encoder()
encode = _encoder.encode


class ClientFrame(msgspec.Struct, frozen=True):
    """One frame of a client, checked in form: ``args`` is the JSON text of an object."""

    id: str | None
    command: str
    args: bytes


class BadFrame(Exception):
    """A client frame that is no command. ``reply`` is the frame to answer with."""

    def __init__(self, code: str, message: str, *, id: str | None = None, command: str | None = None) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.reply = error_reply(id, command, Refused(code, message))


class _Loose(msgspec.Struct):
    """A client frame as it may come: any type in any place."""

    id: Any = None
    command: Any = None
    args: msgspec.Raw = msgspec.Raw(b"{}")


_loose = msgspec.json.Decoder(_Loose)


def parse(data: bytes | str, *, id_bytes: int = 64) -> ClientFrame:
    """Read one client frame.

    Args:
        data: the text of the frame; bytes are UTF-8.
        id_bytes: the longest id, in UTF-8 bytes.

    Raises:
        BadFrame: it is no command; its ``reply`` says why.
    """
    try:
        loose = _loose.decode(data)
    except msgspec.ValidationError:
        raise BadFrame("malformed", "A frame is a JSON object with a command.") from None
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        raise BadFrame("malformed", NOT_JSON) from None
    frame_id = loose.id
    if frame_id is not None:
        if not isinstance(frame_id, str) or not frame_id:
            raise BadFrame("invalid_args", "id: a string of 1 or more characters, or none at all.")
        try:
            size = len(frame_id.encode())
        except UnicodeEncodeError:
            raise BadFrame("invalid_args", "id: not valid Unicode.") from None
        if size > id_bytes:
            raise BadFrame("invalid_args", f"id: at most {id_bytes} bytes; this one has {size}.")
        if "\0" in frame_id:  # no text of PostgreSQL's can hold it
            raise BadFrame("invalid_args", "id: no NUL characters.")
    command = loose.command
    if not isinstance(command, str) or not command:
        raise BadFrame("missing_command", "A frame names its command as a string.", id=frame_id)
    args = bytes(loose.args)
    if args[:1] != b"{":
        if args != b"null":
            raise BadFrame("invalid_args", "args: must be a JSON object.", id=frame_id, command=command)
        args = b"{}"
    return ClientFrame(frame_id, command, args)


class Reply(msgspec.Struct, frozen=True, tag="reply", tag_field="type", omit_defaults=True):
    """The one answer to a command or view: ``ok`` with a result, or not ``ok`` with an error."""

    id: str | None
    command: str | None
    ok: bool
    result: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    error: ErrorBody | msgspec.UnsetType = msgspec.UNSET
    positions: dict[str, int] | msgspec.UnsetType = msgspec.UNSET


class ErrorBody(msgspec.Struct, frozen=True):
    """What went wrong, and whether the same command may be sent again."""

    code: str
    message: str
    retry: bool
    reason: str | msgspec.UnsetType = msgspec.UNSET
    details: Any = msgspec.UNSET
    retry_after: float | msgspec.UnsetType = msgspec.UNSET


class Hello(msgspec.Struct, frozen=True):
    """The arguments of ``hello``."""

    token: str
    epoch: str | None = None
    resume: dict[str, int] = {}


class Refresh(msgspec.Struct, frozen=True):
    """The arguments of ``refresh``: a new access token for the open connection."""

    token: str


class Ping(msgspec.Struct, frozen=True):
    """The arguments of ``ping``: ``t`` comes back as it was."""

    t: Any = None


class StreamStart(msgspec.Struct, frozen=True):
    """Where a stream stands (its head). Not ``recovered``: a ``resync`` follows, else what was missed."""

    offset: int
    recovered: bool


class Welcome(msgspec.Struct, frozen=True):
    """The result of ``hello``."""

    player: str
    name: str
    server_time: str
    epoch: str
    streams: dict[str, StreamStart]
    limits: dict[str, float]


class Push(msgspec.Struct, frozen=True, tag="push", tag_field="type"):
    """One event of a stream. ``message`` is a sentence for people."""

    stream: str
    offset: int
    event: str
    at: str
    data: msgspec.Raw
    message: str | msgspec.UnsetType = msgspec.UNSET


class Resync(msgspec.Struct, frozen=True, tag="resync", tag_field="type"):
    """History is gone: read the state again, and go on from ``offset``."""

    stream: str
    offset: int


class Status(msgspec.Struct, frozen=True, tag="status", tag_field="type"):
    """Due work is late by ``lateness`` seconds, or the token expires in so many."""

    lateness: float | msgspec.UnsetType = msgspec.UNSET
    token_expires_in: float | msgspec.UnsetType = msgspec.UNSET


class Goodbye(msgspec.Struct, frozen=True, tag="goodbye", tag_field="type"):
    """The server is about to close; come back after ``reconnect_after`` seconds."""

    reason: str
    reconnect_after: float


def decode_args(decoder: msgspec.json.Decoder[T], args: bytes) -> T:
    """Read a command's arguments.

    Raises:
        Refused: ``invalid_args``; the message names the field and says what would be right.
    """
    if b"\\u0000" in args and _NUL.search(args):
        raise Refused("invalid_args", "args: no NUL characters.")
    try:
        return decoder.decode(args)
    except msgspec.ValidationError as error:
        raise Refused("invalid_args", _sentence(str(error))) from None
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        raise Refused("invalid_args", f"args: {error}") from None


# JSON can only say it so; no text of PostgreSQL's can hold it.
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
_AT = re.compile(r"^(?P<what>.*) - at `\$(?P<path>.*)`$", re.DOTALL)
_FIELD = re.compile(r"field `(?P<field>[^`]+)`$")


def _sentence(text: str) -> str:
    """Msgspec's sentence with the field in front: ``seconds: Expected `int`, got `str```."""
    found = _AT.match(text)
    if found:
        return f"{found['path'].lstrip('.') or 'args'}: {found['what']}."
    field = _FIELD.search(text)
    return f"{field['field']}: {text}." if field else f"args: {text}."


def digest(name: str, args: bytes) -> bytes:
    """What tells two commands under one id apart: blake2b of the name and the canonical arguments."""
    return hashlib.blake2b(b"%b\n%b" % (name.encode(), args), digest_size=16).digest()


def ok_reply(
    id: str | None, command: str, result: bytes, positions: Mapping[str, int] | None = None
) -> bytes:
    """The frame of a result that is encoded already."""
    return encode(
        Reply(
            id,
            command,
            ok=True,
            result=msgspec.Raw(result),
            positions=msgspec.UNSET if positions is None else dict(positions),
        )
    )


def error_reply(id: str | None, command: str | None, error: Refused | Rejected) -> bytes:
    """The frame of a refusal, by the framework or by the game."""
    reason: str | msgspec.UnsetType = msgspec.UNSET
    retry_after: float | None = None
    if isinstance(error, Rejected):
        code, reason = "rejected", error.reason
    else:
        code, retry_after = error.code, error.retry_after
    body = ErrorBody(
        code=code,
        message=error.message,
        retry=ERROR_CODES[code].retry,
        reason=reason,
        details=error.details or msgspec.UNSET,
        retry_after=msgspec.UNSET if retry_after is None else round(retry_after, 3),
    )
    return encode(Reply(id, command, ok=False, error=body))


def push_frame(stream: str, offset: int, event: str, at: str, data: bytes, *, message: str | None) -> bytes:
    """The frame of one event whose data is encoded already."""
    return encode(
        Push(stream, offset, event, at, msgspec.Raw(data), msgspec.UNSET if message is None else message)
    )
