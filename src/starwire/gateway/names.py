"""Which names and passwords an account may have. Pure.

Names are compared folded (NFKC, case), so that nobody can be mistaken for another by a capital letter or a
full-width one; what was written is kept for showing.
"""

from __future__ import annotations

import re
import unicodedata

from starwire.errors import Refused
from starwire.limits import Limits

SHORTEST, LONGEST = 2, 32
_GUEST = re.compile(r"guest \d+")


def guest_name(account: int) -> str:
    """What a guest is called until it registers."""
    return f"Guest {account}"


def checked_name(name: str) -> str:
    """The name as it is kept: composed, without spaces around it or doubled within.

    Raises:
        Refused: ``invalid_args``; the message says what would be right.
    """
    clean = " ".join(unicodedata.normalize("NFC", name).split())
    if not SHORTEST <= len(clean) <= LONGEST:
        raise Refused("invalid_args", f"name: {SHORTEST} to {LONGEST} characters; this one has {len(clean)}.")
    for character in clean:
        # C: control, format (among them the marks that turn the direction of writing), unassigned
        if unicodedata.category(character)[0] == "C":
            raise Refused(
                "invalid_args", f"name: no invisible characters; this one has U+{ord(character):04X}."
            )
    if not any(character.isalnum() for character in clean):
        raise Refused("invalid_args", "name: needs a letter or a digit.")
    if _GUEST.fullmatch(folded(clean)):
        raise Refused("invalid_args", "name: names like “Guest 42” are for guests.")
    return clean


def folded(name: str) -> str:
    """The name for comparison: two names that fold alike are one."""
    compatible = unicodedata.normalize("NFKC", name).casefold()
    return " ".join(unicodedata.normalize("NFKC", compatible).split())


def checked_password(password: str, limits: Limits) -> str:
    """The password as it is hashed: composed, so that another keyboard types the same.

    Raises:
        Refused: ``invalid_args``; the message says what would be right, never what was typed.
    """
    composed = unicodedata.normalize("NFC", password)
    if len(composed) < limits.password_characters:
        least = limits.password_characters
        raise Refused("invalid_args", f"password: at least {least} characters; this one has {len(composed)}.")
    try:
        size = len(composed.encode())
    except UnicodeEncodeError:
        raise Refused("invalid_args", "password: not valid Unicode.") from None
    if size > limits.password_bytes:
        raise Refused(
            "invalid_args", f"password: at most {limits.password_bytes} bytes; this one has {size}."
        )
    return composed
