"""What travels between the parts of the distributed engine, and under which names.

Replies and events are msgpack on pub/sub channels; commands are JSON text in a Celery message, so that
Celery's own tools can show them.
"""

from __future__ import annotations

import msgspec

from starwire.batch import Command, Event

COMMANDS = "starwire.commands"
DUE = "starwire.due"
STREAM = "starwire:stream:"
REPLIES = "starwire:replies:"
QUEUE = "starwire"


class Replies(msgspec.Struct, frozen=True, array_like=True):
    """The answers to one batch, by the command's index in it; what is missing was not run."""

    batch: str
    answers: dict[int, bytes]


class Batch(msgspec.Struct, frozen=True):
    """The commands that wait for a set of partitions, and where their replies go."""

    id: str
    gateway: str
    partitions: list[int]
    commands: list[Command]


_encoder = msgspec.msgpack.Encoder()
encode = _encoder.encode
decode_event = msgspec.msgpack.Decoder(Event).decode
decode_replies = msgspec.msgpack.Decoder(Replies).decode
_batch = msgspec.json.Decoder(Batch)


def encode_batch(batch: Batch) -> str:
    """A batch as the text that a task carries."""
    return msgspec.json.encode(batch).decode()


def decode_batch(text: str) -> Batch:
    """The batch of a task."""
    return _batch.decode(text)
