"""Finding an App by its import string, for the command line and for workers."""

from __future__ import annotations

import importlib
import sys
import traceback
from pathlib import Path
from typing import Any

from starwire.app import App
from starwire.errors import ConfigurationError


def find_app(name: str | None) -> App:
    """The app that an import string names, from the working directory or from what is installed.

    Raises:
        ConfigurationError: there is no such module or app, or the module fails; one line says where.
    """
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    if name is None:
        if not Path("app.py").is_file():
            raise ConfigurationError(
                "there is no ./app.py; name the app, for example --app mygame.main:app, or begin one with"
                " `starwire new mygame`"
            )
        name = "app:app"
    module_name, colon, attribute = name.partition(":")
    if not (module_name and colon and attribute):
        raise ConfigurationError(f"--app is {name!r}; it must be MODULE:APP, for example mygame.main:app")
    module = _import(module_name)
    app = getattr(module, attribute, None)
    if isinstance(app, App):
        return app
    if app is None:
        found = [key for key, value in vars(module).items() if isinstance(value, App)]
        hint = f"; did you mean {module_name}:{found[0]}?" if found else ""
        raise ConfigurationError(f"--app is {name!r}, but {module_name} has no {attribute!r}{hint}")
    raise ConfigurationError(f"--app is {name!r}, but that is {type(app).__name__}, not a starwire.App")


def _import(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            raise ConfigurationError(f"--app names {name!r}, but there is no such module here") from None
        raise ConfigurationError(_where(error)) from None
    except ConfigurationError:
        raise
    except Exception as error:  # noqa: BLE001 -- whatever a game's module raises while it is imported
        raise ConfigurationError(_where(error)) from None


def _where(error: Exception) -> str:
    """The error and the line of the author's own code that led to it."""
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if "importlib" not in frame.filename and frame.filename != __file__
    ]
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}: {error.msg}"
    place = f"{frames[-1].filename}:{frames[-1].lineno}: " if frames else ""
    return f"{place}{type(error).__name__}: {error}"
