"""The command `composer`: its verbs, and what becomes of errors."""

from __future__ import annotations

import json
import os
import sys
import traceback
from typing import Annotated, Any, NoReturn

import typer

from composer import __version__
from composer.cli import build, check, diff, graph, list, look, new, run, schema, show, sites, summary, validate
from composer.cli.options import Invocation
from composer.errors import ComposerError

USAGE, BUG = 2, 70

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None)
for _verb in (build, validate, run, list, show, sites, summary, graph, look, diff, check, schema, new):
    app.command(_verb.__name__.rpartition(".")[2])(_verb.command)


@app.callback(invoke_without_command=True)
def composer(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
) -> None:
    """Write which backbone and where which attention goes in YAML; get a plain PyTorch module."""
    context.obj.debug = debug
    if version:
        print(f"composer {__version__}")
        raise typer.Exit


def main() -> NoReturn:
    """Run the command line and exit: 0 fine, 1 bad input, 2 usage, 3 missing extra or device, 70 our bug."""
    invocation = Invocation()
    try:
        code = app(standalone_mode=False, obj=invocation, prog_name="composer") or 0
        sys.stdout.flush()
    except ComposerError as error:
        code = _report(error, invocation)
    except BrokenPipeError:
        # The reader (`| head`) has gone; Python would complain once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    except (KeyboardInterrupt, typer.Abort):
        print("interrupted", file=sys.stderr)
        code = 130
    except Exception as error:
        code = _unexpected(error, invocation)
    sys.exit(code)


def _report(error: ComposerError, invocation: Invocation) -> int:
    if invocation.debug:
        traceback.print_exc()
    if invocation.format == "json":
        found = [problem.to_json() for problem in error.diagnostics]
        print(json.dumps({"ok": False, "errors": found, "omitted": error.omitted}, indent=2))
    else:
        print(error, file=sys.stderr)
    return error.exit_code


def _unexpected(error: Any, invocation: Invocation) -> int:
    # Typer keeps its own copy of click, so a usage error is known by what it can do.
    if hasattr(error, "show") and hasattr(error, "exit_code"):
        error.show()
        return USAGE
    if invocation.debug:
        traceback.print_exc()
    print(f"error: composer failed: {type(error).__name__}: {error}", file=sys.stderr)
    help = "this is a bug in composer or in a plugin; run `composer --debug …` and report what it prints"
    print(f"  = help: {help}", file=sys.stderr)
    return BUG
