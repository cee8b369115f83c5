"""`composer validate`: reports every mistake of specs at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from composer.amounts import plural
from composer.cli import problems
from composer.cli.options import Format, FormatOption, Reading, Saying, complete_spec
from composer.cli.progress import stage
from composer.cli.screen import out, print_json
from composer.cli.spread import spread
from composer.errors import ComposerError, GraphError, SpecError

if TYPE_CHECKING:
    from composer.dag.composition import Composition


@spread
def command(
    context: typer.Context,
    *,
    specs: Annotated[
        list[str], typer.Argument(metavar="SPEC...", help="Files or names.", autocompletion=complete_spec)
    ],
    reading: Reading,
    format: FormatOption = Format.TEXT,
    saying: Saying,
) -> None:
    """Check specs without building them: text, structure, names, options, shapes and places."""
    failed = []
    results = []
    for source in specs:
        try:
            with stage(context, f"composing {source}"):
                found = _checked(source, reading)
            from composer.dag.notes import notes

            said = notes(found)
        except ComposerError as error:
            failed.append(error)
            results.append({"spec": source, "ok": False, "errors": [one.to_json() for one in error.diagnostics]})
            if format is Format.TEXT:
                problems.show(error)
        else:
            results.append(
                {"spec": source, "ok": True, "name": found.spec.name, "parameters": found.num_parameters, "notes": said}
            )
            if format is Format.TEXT:
                out(f"{source}: fine, {plural(found.num_parameters, 'parameter', ',')}")
                for note in said:
                    out(f"  {note}")
    if format is Format.JSON:
        print_json(results)
    if failed:
        raise typer.Exit(failed[0].exit_code)


def _checked(source: str, reading: Reading) -> Composition:
    """The network of a spec. Raises SpecError or GraphError with the mistakes of every stage.

    The sound parts of a text are composed too, so that a mistake in a name does not hide a mistake in a shape.
    """
    from composer.spec.load import examine

    spec, problems = examine(source, sets=reading.sets or (), root=reading.root, allow_code=reading.allow_code)
    if spec is None:
        raise SpecError(problems)
    from composer.dag.checked import checked
    from composer.dag.composition import Composition

    found, every = checked(spec, problems, Composition)
    (SpecError if problems else GraphError).check(every)
    assert found is not None, "what has no problems is a network"
    return found
