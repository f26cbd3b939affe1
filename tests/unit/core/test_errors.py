"""The two tables that server, clients and documentation read."""

import ast
from pathlib import Path

import starwire
from starwire.errors import CLOSE_CODES, ERROR_CODES

# What is behind /auth answers over HTTP with codes of its own; the test kit has no socket at all.
NOT_ON_THE_SOCKET = {"accounts.py", "http.py", "names.py", "passwords.py", "responses.py", "world.py"}
SOURCES = sorted(
    path for path in Path(starwire.__file__).parent.rglob("*.py") if path.name not in NOT_ON_THE_SOCKET
)

# The codes and whether to send again, as section 4 of the design lists them.
RETRY = {
    "malformed": False,
    "missing_command": False,
    "unknown_command": False,
    "invalid_args": False,
    "rejected": False,
    "unauthorized": False,
    "rate_limited": True,
    "overloaded": True,
    "too_large": False,
    "unavailable": True,
    "internal": False,
}


def called_with(name: str) -> set[object]:
    """The literal first arguments with which a function of this name is called in the package."""
    found: set[object] = set()
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
                function = node.func
                if name == (
                    function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
                ):
                    found.add(node.args[0].value)
    return found


def test_the_error_codes_are_those_of_the_design() -> None:
    assert {code: row.retry for code, row in ERROR_CODES.items()} == RETRY


def test_the_close_codes_are_those_of_the_design() -> None:
    reconnect = {code: row.reconnect for code, row in CLOSE_CODES.items()}
    assert {code: reconnect[code] for code in (1001, 1012)} == {1001: "advised", 1012: "advised"}
    assert {code for code, how in reconnect.items() if how == "never"} == {4403}
    assert {code for code, how in reconnect.items() if how == "later"} == {4400, 4429}
    assert reconnect[1009] == "backoff"
    assert {code for code, how in reconnect.items() if how == "new_token"} == {4401}
    assert {4400, 4401, 4403, 4408, 4429} <= set(reconnect)


def test_every_row_stands_under_its_own_code_with_a_meaning_for_people() -> None:
    for code, error in ERROR_CODES.items():
        assert error.code == code
        assert error.meaning.endswith(".")
    for number, close in CLOSE_CODES.items():
        assert close.code == number
        assert close.name.isidentifier()
        assert close.meaning.endswith(".")
    assert len({close.name for close in CLOSE_CODES.values()}) == len(CLOSE_CODES)


def test_close_codes_are_numbers_that_a_server_may_send() -> None:
    assert all(code in range(1000, 1016) or code in range(4000, 5000) for code in CLOSE_CODES)
    assert not {1005, 1006, 1015} & set(CLOSE_CODES), "never sent on the wire (RFC 6455, 7.4.1)"


def test_every_code_that_is_sent_stands_in_the_table() -> None:
    codes = called_with("Refused")
    assert codes >= {"internal", "overloaded", "unauthorized"}, "the search finds nothing any more"
    assert codes <= set(ERROR_CODES)
    closing = {code for code in called_with("close") if isinstance(code, int)}
    assert closing >= {1012, 4401, 4408, 4429}, "the search finds nothing any more"
    assert closing <= set(CLOSE_CODES)
