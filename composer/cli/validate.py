"""`composer validate`: reports every mistake of specs at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from composer.amounts import plural
from composer.cli import problems
from composer.cli.options import Format, FormatOption, Reading, Saying, complete_spec, say
from composer.cli.progress import stage
from composer.cli.screen import print_json
from composer.cli.spread import spread
from composer.cli.tables import prose
from composer.errors import ComposerError, Diagnostic, GraphError, InputError, SpecError

if TYPE_CHECKING:
    from composer.dag.composition import Composition


# What `--quick` leaves unchecked, of any spec.
UNCHECKED = ("shapes", "places", "what expressions give", "weights")


@spread
def command(
    context: typer.Context,
    *,
    specs: Annotated[
        list[str], typer.Argument(metavar="SPEC...", help="Files or names.", autocompletion=complete_spec)
    ],
    quick: Annotated[
        bool,
        typer.Option("--quick", is_eager=True, help="Text, names and options alone: in a moment, without PyTorch."),
    ] = False,
    reading: Reading,
    format: FormatOption = Format.TEXT,
    saying: Saying,
) -> None:
    """Check specs without building them: text, structure, names, options, shapes and places."""
    failed = []
    results = []
    for source in specs:
        try:
            result = _quickly(source, reading) if quick else _wholly(context, source, reading)
        except ComposerError as error:
            failed.append(error)
            results.append({"spec": source, "ok": False, "errors": [one.to_json() for one in error.diagnostics]})
            if format is Format.TEXT:
                problems.show(error)
        else:
            results.append({"spec": source, "ok": True, **result})
            if format is Format.TEXT:
                _tell(source, result)
    if format is Format.JSON:
        print_json(results)
    elif quick:
        say(context, f"not checked: {', '.join(UNCHECKED)}; `composer validate` without --quick does")
    if failed:
        raise typer.Exit(failed[0].exit_code)


def _tell(source: str, result: dict[str, Any]) -> None:
    if "parameters" in result:
        prose(f"{source}: fine, {plural(result['parameters'], 'parameter', ',')}")
        for note in result["notes"]:
            prose(f"  {note}")
        return
    prose(f"{source}: text and names are fine")
    for more in result["unchecked"][len(UNCHECKED) :]:
        prose(f"  not checked: {more}")


def _wholly(context: typer.Context, source: str, reading: Reading) -> dict[str, Any]:
    """What is said of a sound spec. Raises SpecError or GraphError."""
    with stage(context, f"composing {source}"):
        found = _checked(source, reading)
    from composer.dag.notes import notes

    return {"name": found.spec.name, "parameters": found.num_parameters, "notes": notes(found)}


def _quickly(source: str, reading: Reading) -> dict[str, Any]:
    """What is said of a spec whose text and names are sound. Imports no torch. Raises SpecError."""
    from composer.index.card import has_plugins
    from composer.index.names import Names
    from composer.paths import obstacle
    from composer.spec.load import examine

    for path in reading.plugin or ():
        if problem := obstacle(path):
            raise InputError(Diagnostic("plugin", f"plugin file `{path}` {problem}", label="a Python or YAML file"))
    spec, problems = examine(source, sets=reading.sets or (), root=reading.root, ask=False)
    if spec is None:
        raise SpecError(problems)
    names = Names.of(spec, plugins=bool(reading.plugin) or has_plugins())
    SpecError.check([*problems, *names.problems])
    unchecked = [*UNCHECKED, *(f"`{name}`, which only a plugin could have" for name in names.unchecked)]
    models = [one.source for one in (spec, *(part.spec for part in spec.parts.values())) if one.source is not None]
    unchecked += dict.fromkeys(f"{model.words}, and the vars that it takes" for model in models)
    return {"name": spec.name, "unchecked": unchecked}


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
