"""The command `composer`: its verbs, and how it reports errors."""

from __future__ import annotations

import importlib
import keyword
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import Annotated, Any, NoReturn

import typer

from composer import __version__
from composer.cli import problems, screen
from composer.cli.as_json import note_json, with_json
from composer.cli.graph_files import refusing
from composer.cli.options import Invocation
from composer.cli.stopping import Stopped, stopping
from composer.cli.usage import reworded
from composer.errors import ComposerError, InputError
from composer.foreign import is_error, named

USAGE, BUG = 2, 70
_REPORT_IT = "this is a bug in composer or in a plugin; run `composer --debug …` and report what it prints"

VERBS = (
    *("build", "validate", "run", "list", "show", "sites", "summary", "graph", "look", "diff", "bench"),
    *("train", "resume", "test", "compare", "search", "scan", "plan", "check", "eject", "export", "import", "push"),
    *("pull", "schema", "new", "lsp", "watch"),
)


def app(verbs: Sequence[str] = VERBS) -> typer.Typer:
    """The command line with these verbs."""
    made = typer.Typer(
        no_args_is_help=True, rich_markup_mode=None, context_settings={"help_option_names": ["-h", "--help"]}
    )
    for verb in verbs:
        module = importlib.import_module(f"composer.cli.{verb}{'_' * keyword.iskeyword(verb)}")
        made.command(verb)(refusing(verb, screen.alone(with_json(module.command))))
    made.callback(invoke_without_command=True)(composer)
    return made


def _asked(words: Sequence[str]) -> Sequence[str]:
    """The verb that a command line begins with, or all: reading all signatures takes longer than `list`."""
    first = next((word for word in words if not word.startswith("-")), "")
    return (first,) if first in VERBS and not any(name.endswith("_COMPLETE") for name in os.environ) else VERBS


def composer(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="With --version: extras, device, and what is in the way.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", callback=note_json, help="With --version: as JSON. Of a verb: behind it.")
    ] = False,
) -> None:
    """Write which backbone and where which attention goes in YAML; get a plain PyTorch module."""
    context.obj.debug = debug
    if as_json and not version:
        raise typer.BadParameter(
            "behind the verb, such as `composer list --json`; here with --version", param_hint="--json"
        )
    if version:
        _tell_version(verbose=verbose, as_json=as_json)
        raise typer.Exit


def _tell_version(*, verbose: bool, as_json: bool) -> None:
    if not verbose:
        if as_json:
            screen.print_json({"composer": __version__})
        else:
            screen.out(f"composer {__version__}")
        return
    from composer.cli.tables import prose
    from composer.cli.versions import found, report

    if as_json:
        screen.print_json(found())
        return
    for line in report():
        prose(line)


def main() -> NoReturn:
    """Run the command line; exit with 0 (fine), 1 (bad input), 2 (usage), 3 (missing extra or device) or 70 (bug)."""
    screen.prepare()
    invocation = Invocation()
    with stopping():
        code = _closed(lambda: _run(invocation))
    sys.exit(code)


def _run(invocation: Invocation) -> int:
    """The exit code of a command; reports its errors."""
    try:
        return app(_asked(sys.argv[1:]))(standalone_mode=False, obj=invocation, prog_name="composer") or 0
    except ComposerError as error:
        return _report(error, invocation)
    except Stopped as stop:
        return _stopped(stop)
    except BrokenPipeError:
        raise
    except BaseException as error:
        if isinstance(error.__context__, BrokenPipeError):
            # Typer turns a BrokenPipeError into an exit.
            raise error.__context__ from None
        if Stopped.last:
            return _stopped(Stopped.last)
        if not is_error(error):
            raise
        # A network runs code of plugins, which may raise anything.
        from composer import registry

        plugin = registry.blamed(error)
        return _report(plugin, invocation) if plugin else _unexpected(error, invocation)


def _closed(run: Callable[[], int]) -> int:
    """The exit code of a command after its output is flushed; a reader that left (`| head`) gets no message."""
    try:
        code = run()
        screen.flush()
        return code
    except BrokenPipeError:
        screen.silence()
        return 1
    except InputError as error:
        problems.show(error)
        return error.exit_code


def _stopped(stop: Stopped) -> int:
    screen.words(stop.words)
    return stop.exit_code


def _report(error: ComposerError, invocation: Invocation) -> int:
    if invocation.debug:
        screen.words(traceback.format_exc())
    if invocation.format == "json":
        screen.print_json(problems.to_json(error))
    else:
        problems.show(error)
    return error.exit_code


def _unexpected(error: Any, invocation: Invocation) -> int:
    # Typer has its own copy of click, so a usage error is recognised by its attributes.
    if hasattr(error, "format_message") and hasattr(error, "exit_code"):
        if type(error).__name__ == "NoArgsIsHelpError":
            screen.words(error.format_message())
            return USAGE
        context = getattr(error, "ctx", None)
        if context is not None:
            screen.words(f"{context.get_usage()}\ntry `{context.command_path} --help`\n")
        screen.words(f"error: {reworded(error.format_message())}")
        return USAGE
    if invocation.debug:
        screen.words(traceback.format_exc())
    screen.words(f"error: composer failed: {named(error)}")
    screen.words(f"  = help: {_REPORT_IT}")
    return BUG
