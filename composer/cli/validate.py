"""`composer validate`: every mistake at once."""

from __future__ import annotations

from typing import Annotated

import typer

from composer.cli.options import Format, FormatOption, Plugins, Quiet, Root, Sets, Verbose, load_spec, print_json
from composer.errors import ComposerError


def command(
    context: typer.Context,
    specs: Annotated[list[str], typer.Argument(metavar="SPEC...", help="Files or names.")],
    sets: Sets = None,
    root: Root = None,
    plugin: Plugins = None,
    format: FormatOption = Format.TEXT,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Check specs without building them: text, structure, names, options, shapes and places."""
    failed = []
    results = []
    for source in specs:
        try:
            spec = load_spec(source, sets, root)
            from composer.api import graph
            from composer.dag.notes import notes

            found = graph(spec)
            said = notes(found)
        except ComposerError as error:
            failed.append(error)
            results.append({"spec": source, "ok": False, "errors": [one.to_json() for one in error.diagnostics]})
            if format is Format.TEXT:
                typer.echo(error, err=True)
        else:
            results.append(
                {"spec": source, "ok": True, "name": spec.name, "parameters": found.num_parameters, "notes": said}
            )
            if format is Format.TEXT:
                print(f"{source}: fine, {found.num_parameters:,} parameters")
                for note in said:
                    print(f"  {note}")
    if format is Format.JSON:
        print_json(results)
    if failed:
        raise typer.Exit(failed[0].exit_code)
