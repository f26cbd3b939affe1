"""The command line: what it does, and the one line it says when something is wrong."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import jwt
import msgspec
import pytest
import structlog
from sqlalchemy import text

from starwire.cli import main
from starwire.store.database import open_sqlite
from tests.support.machine import REPOSITORY

PROGRAM = [sys.executable, "-c", "from starwire.cli import main; main()"]


@dataclass
class Done:
    code: int
    out: str
    err: str


Starwire = Callable[..., Done]


@pytest.fixture
def starwire(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Starwire]:
    """The command line in an empty folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path.copy())
    monkeypatch.setenv("COLUMNS", "200")
    for name in [name for name in os.environ if name.startswith("STARWIRE_")]:
        monkeypatch.delenv(name)

    def run(*arguments: str) -> Done:
        sys.modules.pop("app", None)
        monkeypatch.setattr(sys, "argv", ["starwire", *arguments])
        with pytest.raises(SystemExit) as left:
            main()
        said = capsys.readouterr()
        return Done(int(left.value.code or 0), said.out, said.err)

    yield run
    structlog.reset_defaults()  # logs go to what this test has captured


@pytest.fixture
def orchard(starwire: Starwire, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory is a new project."""
    assert starwire("new", "orchard").code == 0
    monkeypatch.chdir(tmp_path / "orchard")
    return tmp_path / "orchard"


@contextmanager
def server(folder: Path, *arguments: str) -> Iterator[str]:
    """A server in an OS process of its own; gives its address."""
    running = subprocess.Popen(
        [*PROGRAM, "serve", "--dev", "--port", "0", *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert running.stdout is not None
    with running.stdout:
        try:
            found = re.search(r"http://\S+", running.stdout.readline())
            assert found is not None
            yield found[0]
        finally:
            running.send_signal(signal.SIGINT)
            assert running.wait(20) == 0


def one_line(done: Done) -> str:
    assert done.code == 2, done
    assert "Traceback" not in done.err
    lines = done.err.strip().splitlines()
    assert len(lines) == 1, done.err
    assert lines[0].startswith("starwire: ")
    return lines[0].removeprefix("starwire: ")


COMMANDS = (
    "play",
    "serve",
    "cluster",
    "worker",
    "scheduler",
    "migrate",
    "check",
    "inspect",
    "announce",
    "token",
    "types",
    "schema",
    "new",
)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_teaches_by_an_example(starwire: Starwire, command: str) -> None:
    done = starwire(command, "--help")
    assert done.code == 0
    assert f"starwire {command}" in done.out.partition("Example")[2]


def test_help_lists_the_commands_and_every_setting_with_its_default(starwire: Starwire) -> None:
    assert all(command in starwire("--help").out for command in COMMANDS)
    assert starwire().out == starwire("--help").out
    words = " ".join(starwire("play", "--help").out.split())
    for setting in ("STARWIRE_PORT (8000)", "STARWIRE_PARTITIONS (16)", "STARWIRE_BATCH_SECONDS (0.05)"):
        assert setting in words


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["dance"], "No such command 'dance'"),
        (["serve", "--prot", "1"], "No such option: --prot"),
        (["play", "--port", "x"], "STARWIRE_PORT is 'x'; it must be a whole number"),
        (["play", "--broker", "redis://x"], "STARWIRE_BROKER is 'redis://x'"),
        (["serve"], "there is no ./app.py"),
        (["serve", "--app", "nonsense"], "--app is 'nonsense'; it must be MODULE:APP"),
        (["serve", "--app", "no_such_module:app"], "there is no such module here"),
        (["serve", "--app", "json:app"], "json has no 'app'"),
        (["serve", "--app", "json:loads"], "not a starwire.App"),
        (["new", "../x"], "NAME is '../x'"),
        (["announce", "hello"], "no server is running on the data folder .starwire"),
        (["inspect"], "there is no database in .starwire"),
        (["token", "--guest"], "there is no database in .starwire"),
        (["token"], "say whose token"),
    ],
)
def test_a_mistake_is_one_line_that_says_what_is_wrong(
    starwire: Starwire, arguments: list[str], complaint: str
) -> None:
    assert complaint in one_line(starwire(*arguments))


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ("import starwire\napp = starwire.App('x'\n", "app.py:2: "),
        ("\n\n1 / 0\n", "app.py:3: ZeroDivisionError"),
        ("import no_such_thing\n", "app.py:1: ModuleNotFoundError"),
        ("import starwire\ngame = starwire.App('x')\n", "did you mean app:game?"),
    ],
)
def test_an_app_that_cannot_be_imported_names_its_own_line(
    starwire: Starwire, tmp_path: Path, source: str, complaint: str
) -> None:
    (tmp_path / "app.py").write_text(source)
    assert complaint in one_line(starwire("schema"))


def test_a_variable_that_is_no_setting_is_warned_of(
    starwire: Starwire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STARWIRE_DAAT", "x")
    assert "STARWIRE_DAAT is no setting; did you mean STARWIRE_DATA?" in starwire("inspect").err


def test_a_taken_port_is_named_before_anything_starts(starwire: Starwire, orchard: Path) -> None:
    with server(orchard) as url:
        port = url.rpartition(":")[2]
        line = one_line(starwire("serve", "--port", port, "--data", "elsewhere"))
    assert f"STARWIRE_PORT is {port}, which another program is listening on" in line
    assert not (orchard / "elsewhere").exists()


def test_a_second_server_on_the_same_folder_is_refused(starwire: Starwire, orchard: Path) -> None:
    with server(orchard):
        assert "in use by another server" in one_line(starwire("migrate"))


def test_without_dev_or_migrations_a_server_says_what_is_missing(orchard: Path) -> None:
    command = [*PROGRAM, "serve", "--port", "0"]
    done = subprocess.run(command, cwd=orchard, capture_output=True, text=True, check=False)
    line = one_line(Done(done.returncode, done.stdout, done.stderr))
    assert "the database lacks the table 'trees'; run with --dev" in line


# A project


def test_a_new_project_passes_its_own_test(orchard: Path) -> None:
    assert sorted(path.name for path in orchard.iterdir()) == ["README.md", "app.py", "test_app.py"]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(command, cwd=orchard, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_new_project_is_the_example_in_the_repository(orchard: Path) -> None:
    assert (orchard / "app.py").read_text() == (REPOSITORY / "examples" / "orchard" / "app.py").read_text()


def test_nothing_is_overwritten_by_a_new_project(starwire: Starwire, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "app.py").write_text("precious")
    assert "exists already, and nothing is overwritten" in one_line(starwire("new", "mine"))
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["app.py"]


def test_types_and_schema_describe_the_app(starwire: Starwire, orchard: Path) -> None:
    types = starwire("types")
    assert "plant: { args: Plant; result: Started };" in types.out
    assert "ripe: Ripe;" in types.out
    schema = msgspec.json.decode(starwire("schema").out)
    assert set(schema["views"]) == {"look"}


def test_an_app_is_found_by_its_import_string_from_anywhere(starwire: Starwire) -> None:
    assert "construction_complete" in starwire("types", "--app", "herebedragons.app:app").out


def test_migrations_are_written_adopted_and_run(starwire: Starwire, orchard: Path) -> None:
    with server(orchard):
        pass  # --dev has created the tables
    source = (orchard / "app.py").read_text()
    (orchard / "app.py").write_text(
        source.replace("tables=tables)", 'tables=tables, migrations="app:migrations")')
    )
    assert starwire("migrate", "--new", "first", "--data", "empty").out.strip().endswith("0001_first.py")
    assert "starwire migrate --adopt" in one_line(starwire("migrate"))
    assert starwire("migrate", "--adopt").code == 0
    assert "newest revision" in starwire("migrate").out
    assert "newest revision" in starwire("migrate", "--data", "fresh").out


# A database


def add_process(data: Path, id: int, kind: str, payload: str, due: int = 2**52) -> None:
    database = open_sqlite(data / "starwire.db")
    with database.write.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO starwire_process (id, kind, version, key, partition, data, public, state,"
                " attempt, started_at, due_at, run_at) VALUES (:id, :kind, 1, 'player:1', 0, :data, '{}',"
                " 'pending', 0, 0, :due, :due)"
            ),
            {"id": id, "kind": kind, "data": payload.encode(), "due": due},
        )
    database.close()


def test_check_names_every_process_that_this_code_cannot_read(starwire: Starwire, orchard: Path) -> None:
    with server(orchard):
        pass
    add_process(orchard / ".starwire", 16, "ripen", "{}")
    assert starwire("check").out == "All 1 pending processes can be read by this code.\n"
    add_process(orchard / ".starwire", 32, "rot", "{}")
    add_process(orchard / ".starwire", 48, "ripen", "[]")
    done = starwire("check")
    assert done.code == 1
    assert "process 32: rot version 1 of player:1: this code knows no such kind" in done.out
    assert "process 48: ripen version 1 of player:1: Expected `object`" in done.out
    assert "2 of 3 pending processes cannot be read" in done.out


def test_inspect_shows_what_is_pending_and_who_serves_it(starwire: Starwire, orchard: Path) -> None:
    with server(orchard) as url:
        add_process(orchard / ".starwire", 16, "ripen", "{}")
        shown = starwire("inspect").out
        assert url in shown
        assert re.search(r"ripen\W+pending\W+1\W+2112-", shown)
        assert "0, 0 with a name and a password" in shown
    assert "none is running" in starwire("inspect").out


def test_a_file_left_by_a_killed_server_is_not_believed(starwire: Starwire, orchard: Path) -> None:
    with server(orchard):
        pass
    (orchard / ".starwire" / "server.json").write_text('{"url": "http://127.0.0.1:1", "pid": 1}')
    assert "none is running" in starwire("inspect").out


# A running server


def test_an_announcement_reaches_the_stream_of_everyone(starwire: Starwire, orchard: Path) -> None:
    with server(orchard) as url:
        assert starwire("announce", "Maintenance at noon").out == f"Announced at {url}: Maintenance at noon\n"
        assert "announce: empty: An announcement needs a text." in one_line(starwire("announce", " "))
    database = open_sqlite(orchard / ".starwire" / "starwire.db")
    with database.read.begin() as connection:
        rows = connection.execute(
            text("SELECT event, message FROM starwire_event WHERE stream = 'all'")
        ).all()
    database.close()
    assert [tuple(row) for row in rows] == [("announcement", "Maintenance at noon")]


def test_tokens_name_guests_accounts_and_operators(starwire: Starwire, orchard: Path) -> None:
    def claims(*arguments: str) -> dict[str, object]:
        printed = starwire("token", *arguments).out.strip()
        decoded: dict[str, object] = jwt.decode(printed, options={"verify_signature": False})
        return decoded

    with server(orchard):
        guest = claims("--guest")
        assert (guest["sub"], guest["name"]) == ("1", "Guest 1")
        again = claims("--player", "1", "--operator", "--seconds", "5000")
        assert (again["sub"], again["operator"]) == ("1", True)
        assert again["sid"] != guest["sid"]
        assert "sid" not in claims("--operator")
        assert "no account has this id or name" in one_line(starwire("token", "--player", "Ada"))
