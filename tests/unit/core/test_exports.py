"""The public names: what a game imports, and nothing that slipped in."""

import importlib
import subprocess
import sys

import starwire
import starwire.testing

PUBLIC = {
    "App",
    "Command",
    "ConfigurationError",
    "Event",
    "Identity",
    "Limits",
    "Module",
    "NotAllowed",
    "OpenID",
    "Process",
    "ProcessInfo",
    "Read",
    "Rejected",
    "Started",
    "StarwireError",
    "State",
    "Transaction",
    "View",
}


def test_starwire_exports_what_a_game_needs() -> None:
    assert set(starwire.__all__) >= PUBLIC
    assert list(starwire.__all__) == sorted(starwire.__all__)


def test_every_exported_name_is_there() -> None:
    for module in (starwire, starwire.testing):
        missing = [name for name in module.__all__ if not hasattr(module, name)]
        assert not missing, f"{module.__name__} names {missing}"


def test_every_exported_name_explains_itself() -> None:
    undocumented = [name for name in starwire.__all__ if not getattr(starwire, name).__doc__]
    assert not undocumented


def test_the_test_kit_has_the_world_and_what_it_gives() -> None:
    assert set(starwire.testing.__all__) >= {"CommandFailed", "Player", "Push", "World"}
    assert importlib.import_module("starwire.testing").World is starwire.testing.World


def test_importing_starwire_starts_nothing_and_prints_nothing() -> None:
    code = "import threading, starwire; assert threading.active_count() == 1, threading.enumerate()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
