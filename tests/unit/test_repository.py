"""The repository keeps its own rules (the design's habit 13, 14 and 20, among others)."""

import ast
import subprocess
from functools import cache
from pathlib import Path

import pytest

from tests.support.machine import REPOSITORY

MAX_LINES = 400
MAX_FUNCTION_LINES = 60
TEXT_SUFFIXES = {
    "", ".cfg", ".css", ".html", ".ini", ".js", ".json", ".mako", ".md", ".py", ".sh", ".svg", ".toml", ".ts",
    ".txt", ".yaml", ".yml",
}  # fmt: skip
# Put together from parts, so that this file does not contain them.
UNFINISHED = ("TO" + "DO", "FIX" + "ME", "XX" + "X")
MACHINE_PATHS = ("/ro" + "ot/", "/wo" + "rk/", "/ho" + "me/", "/Us" + "ers/")


@cache
def repository_files() -> tuple[Path, ...]:
    """Every file that is committed or would be with `git add`; without git, every file in our folders."""
    if (REPOSITORY / ".git").exists():
        command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
        names = subprocess.run(
            command, cwd=REPOSITORY, check=True, capture_output=True, text=True
        ).stdout.split("\0")
        files = [REPOSITORY / name for name in names if name]
    else:
        files = [
            path for folder in ("src", "tests", "tools", "docs") for path in (REPOSITORY / folder).rglob("*")
        ]
    return tuple(sorted({path for path in files if path.is_file() and "__pycache__" not in path.parts}))


def source_files() -> list[Path]:
    return [
        path for path in repository_files() if path.suffix == ".py" and REPOSITORY / "src" in path.parents
    ]


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def our_texts() -> list[tuple[str, str]]:
    return [
        (shown(path), path.read_text(encoding="utf-8"))
        for path in repository_files()
        if path.suffix in TEXT_SUFFIXES and "vendor" not in path.parts
    ]


def shown(path: Path) -> str:
    return path.relative_to(REPOSITORY).as_posix()


def lines_containing(words: tuple[str, ...]) -> list[str]:
    return [
        f"{name}:{number}: {line.strip()[:100]}"
        for name, text in our_texts()
        for number, line in enumerate(text.splitlines(), start=1)
        if any(word in line for word in words)
    ]


def test_no_source_file_is_too_long_to_read() -> None:
    lengths = {shown(path): len(path.read_text(encoding="utf-8").splitlines()) for path in source_files()}
    too_long = {name: lines for name, lines in lengths.items() if lines > MAX_LINES}
    assert not too_long, f"files over {MAX_LINES} lines; give one idea of each a file of its own: {too_long}"


def test_no_function_is_too_long_to_read() -> None:
    too_long = {}
    for path in source_files():
        if "migrations" in path.parts:  # written by Alembic, one statement after the other
            continue
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > MAX_FUNCTION_LINES:
                    too_long[f"{shown(path)}:{node.lineno} {node.name}"] = lines
    assert not too_long, f"functions over {MAX_FUNCTION_LINES} lines: {too_long}"


def test_every_module_says_what_it_is_for() -> None:
    silent = [shown(path) for path in source_files() if not ast.get_docstring(parsed(path))]
    assert not silent, f"modules without a docstring: {silent}"


def test_nothing_is_left_unfinished() -> None:
    assert not (found := lines_containing(UNFINISHED)), "\n".join(found)


def test_no_file_names_a_path_of_somebodys_machine() -> None:
    assert not (found := lines_containing(MACHINE_PATHS)), "\n".join(found)


@pytest.mark.parametrize("package", ["starwire", "herebedragons"])
def test_both_packages_are_typed(package: str) -> None:
    assert (REPOSITORY / "src" / package / "py.typed").is_file()


def test_the_changelog_has_a_place_for_the_next_change() -> None:
    changelog = (REPOSITORY / "CHANGELOG.md").read_text(encoding="utf-8")
    assert "\n## [Unreleased]\n" in changelog


def test_the_gate_runs_the_checks_and_the_tests() -> None:
    gate = (REPOSITORY / ".ci" / "run").read_text(encoding="utf-8")
    assert "set -euo pipefail" in gate
    assert [line for line in gate.splitlines() if line.startswith("make ")] == ["make check", "make test"]


def test_make_help_lists_every_target() -> None:
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    declared = next(line for line in makefile.splitlines() if line.startswith(".PHONY:")).split()[1:]
    listing = subprocess.run(
        ["make", "help"], cwd=REPOSITORY, check=True, capture_output=True, text=True
    ).stdout
    listed = [line.split()[1] for line in listing.splitlines() if line.startswith("  make ")]
    assert sorted(listed) == sorted(declared)
