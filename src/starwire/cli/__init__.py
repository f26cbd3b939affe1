"""The command line: ``starwire play``, ``serve`` and the tools beside them.

Each family of commands has a module; this one joins them. A mistake of the person who types is one line on
stderr and exit code 2, without a traceback.
"""

from __future__ import annotations

import sys
from typing import NoReturn

import typer

from starwire.cli import cluster, data, inspecting, operate, project, roles, serve
from starwire.errors import StarwireError

MISTAKE = 2
INTERRUPTED = 130
EXTRAS = frozenset({"celery", "kombu", "psycopg", "redis"})  # what only `starwire[distributed]` brings


def build() -> typer.Typer:
    """The whole command line."""
    app = typer.Typer(
        name="starwire",
        help="Commands in, pushes out, and work that finishes in 25 hours whatever crashes meanwhile.",
        epilog="Try it: [bold]starwire play[/bold], then open http://127.0.0.1:8000",
        rich_markup_mode="rich",
        pretty_exceptions_enable=False,
        add_completion=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    for family in (serve, cluster, roles, data, inspecting, operate, project):
        family.register(app)
    return app


def main() -> None:
    """Run the command line and exit."""
    try:
        code = build()(sys.argv[1:] or ["--help"], standalone_mode=False)
    except typer.TyperException as error:
        _fail(f"{error.format_message()} (--help explains)", error.exit_code)
    except (typer.Abort, KeyboardInterrupt):
        sys.exit(INTERRUPTED)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in EXTRAS:
            raise
        _fail(
            f"the distributed engine (STARWIRE_DATABASE, STARWIRE_BROKER) needs {error.name}:"
            " pip install 'starwire[distributed]'",
            MISTAKE,
        )
    except StarwireError as error:
        _fail(str(error), MISTAKE)
    sys.exit(code if isinstance(code, int) else 0)


def _fail(text: str, code: int) -> NoReturn:
    print(f"starwire: {' '.join(text.split())}", file=sys.stderr)
    sys.exit(code)
