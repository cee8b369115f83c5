"""`composer watch`: the picture of a spec in the browser, while it is being written."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from composer.amounts import plural
from composer.cli import problems
from composer.cli.options import AllowCode, Plugins, Root, Saying, complete_spec, say
from composer.cli.spread import spread
from composer.cli.stopping import Stopped
from composer.errors import Diagnostic, InputError, SpecError

if TYPE_CHECKING:
    from composer.live.state import State
    from composer.live.watching import Watched

# Seconds between two looks at the file.
PAUSE = 0.15


@spread
def command(
    context: typer.Context,
    *,
    spec: Annotated[
        Path, typer.Argument(metavar="SPEC", help="The .yaml file that is being written.", autocompletion=complete_spec)
    ],
    port: Annotated[int, typer.Option(min=0, max=65535, help="Where it listens; 0: a port that is free.")] = 0,
    open_it: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
    root: Root = None,
    plugin: Plugins = None,
    allow_code: AllowCode = False,
    saying: Saying,
) -> None:
    """Show a spec in the browser while it is being written: the last good picture, every mistake, what changed.

    It reads the file whenever it is saved, and files that it refers to, and writes none. It serves this machine only,
    at an address with a token that nobody can guess; Ctrl-C ends it. `composer lsp` shows the same at each keystroke.
    """
    if not os.path.isfile(spec):
        help = (
            "`composer new -o FILE` writes a spec to start from; `composer graph NAME --open` shows one of the zoo",
        )
        raise InputError(
            Diagnostic("unreadable", f"there is no file `{spec}` to watch", label="a YAML file", help=help)
        )
    from composer.live.preview import Preview
    from composer.live.reading import Reader
    from composer.live.state import State
    from composer.live.watching import Watched

    state = State(spec.name, "reading …")
    preview = Preview(state, port=port)
    preview.start()
    # The address is what someone runs it for.
    say(context, f"watching {spec}: {preview.address}", -1)
    if open_it:
        from composer.cli.browser import open_address

        open_address(context, preview.address)
    watched = Watched(spec, Reader(root, allow_code, bool(plugin)))
    try:
        while True:
            was_gone = watched.is_gone
            if watched.look():
                _tell(context, watched, state, was_gone=was_gone)
            time.sleep(PAUSE)
    except Stopped as stop:
        if stop.exit_code != 128 + signal.SIGINT:
            raise
        say(context, f"{spec} is watched no more")
    finally:
        preview.close()


def _tell(context: typer.Context, watched: Watched, state: State, *, was_gone: bool) -> None:
    """Show what the file has become, and say it in a line; its mistakes in full."""
    name, reading = watched.path, watched.reading
    if watched.is_gone:
        text = f"{name} is gone; what is shown is the last of it, until it is back"
        state.say(text)
        say(context, text)
        return
    assert reading is not None, "what is there was read"
    if was_gone:
        say(context, f"{name} is back")
    if reading.graph is not None and state.good is not None:
        state.keep()
    state.show(reading)
    if reading.problems:
        problems.show(SpecError(reading.problems))
    elif reading.graph is not None:
        say(context, f"{name}: fine, {plural(reading.graph.num_parameters, 'parameter', ',')}")
