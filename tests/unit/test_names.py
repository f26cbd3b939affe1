"""Names and passwords: what is refused, with what sentence, and which names are the same."""

import pytest

from starwire.errors import Refused
from starwire.gateway.names import checked_name, checked_password, folded, guest_name
from starwire.limits import Limits


@pytest.mark.parametrize(
    ("written", "kept"), [("Ada", "Ada"), ("  Ada   Lovelace ", "Ada Lovelace"), ("龍王", "龍王")]
)
def test_a_name_is_kept_as_written_without_needless_spaces(written: str, kept: str) -> None:
    assert checked_name(written) == kept


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("A", "2 to 32 characters"),
        ("A" * 33, "this one has 33"),
        ("Ada\x00", r"U\+0000"),
        ("Ada\u202e", r"U\+202E"),
        ("A\u200bda", r"U\+200B"),
        ("\ud800da", r"U\+D800"),
        ("...", "letter or a digit"),
        ("GUEST 42", "for guests"),
        ("\uff27uest \uff142", "for guests"),
    ],
)
def test_a_name_that_could_mislead_is_refused_with_the_reason(name: str, complaint: str) -> None:
    with pytest.raises(Refused, match=complaint):
        checked_name(name)


@pytest.mark.parametrize("other", ["ADA", "ada", "\uff21\uff44\uff41", " ada "])
def test_names_that_look_alike_fold_alike(other: str) -> None:
    assert folded(other) == folded("Ada")


def test_a_guests_name_cannot_be_registered() -> None:
    with pytest.raises(Refused):
        checked_name(guest_name(7))


@pytest.mark.parametrize(
    ("password", "complaint"),
    [
        ("short", "at least 8 characters; this one has 5"),
        ("ü" * 600, "at most 1024 bytes"),
        ("\ud800" * 8, "Unicode"),
    ],
)
def test_a_password_has_bounds(password: str, complaint: str) -> None:
    with pytest.raises(Refused, match=complaint):
        checked_password(password, Limits())


def test_a_password_typed_on_another_keyboard_is_the_same() -> None:
    assert checked_password("Cafe\u0301-latte", Limits()) == checked_password("Caf\u00e9-latte", Limits())
