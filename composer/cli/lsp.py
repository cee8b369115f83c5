"""`composer lsp`: the language server of specs, for editors."""

from __future__ import annotations

import importlib.util
import sys
import threading

import typer

from composer.cli import screen
from composer.cli.options import AllowCode, Plugins, Root, Saying, say
from composer.cli.spread import spread
from composer.errors import Diagnostic, InputError, UnavailableError


@spread
def command(
    context: typer.Context,
    *,
    root: Root = None,
    plugin: Plugins = None,
    allow_code: AllowCode = False,
    saying: Saying,
) -> None:
    """Answer an editor about specs: mistakes at their lines, shapes, costs, completion, definitions, quick fixes.

    An editor starts it and speaks to it on stdin and stdout; `examples/guides/editors.md` says how. Needs the
    extra `lsp`. It writes no file: an editor applies the changes that it proposes.
    """
    if importlib.util.find_spec("pygls") is None:
        text, help = "the language server needs the package `pygls`", ("pip install 'attention-composer[lsp]'",)
        raise UnavailableError(Diagnostic("extra", text, label="an extra of composer", help=help))
    if sys.stdin is None or sys.stdin.isatty():
        help = ("examples/guides/editors.md has the lines that an editor needs; `composer watch SPEC` needs no editor",)
        raise InputError(Diagnostic("terminal", "the language server speaks with an editor, not a terminal", help=help))
    # What composes networks imports torch: it begins while the packages of the protocol are imported.
    threading.Thread(target=importlib.import_module, args=("composer.network",), daemon=True).start()
    from composer.live.lsp import serve
    from composer.live.reading import Reader

    serve(Reader(root, allow_code, bool(plugin)), sys.stdin.buffer, screen.raw())
    say(context, "the editor ended the session", 1)
