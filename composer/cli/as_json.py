"""`--json`, which every verb with `--format` has that writes JSON: a short form of `--format json`."""

from __future__ import annotations

import enum
import functools
import inspect
from collections.abc import Callable
from typing import Annotated, Any, get_args, get_type_hints

import typer

JSON = "json"
_NAME = "as_json"


def note_json(context: typer.Context, value: bool) -> bool:
    """Return the value; if it is true, errors are written as JSON too."""
    if value:
        context.find_root().obj.format = JSON
    return value


# Eager, so that errors in other options are JSON already.
AsJson = Annotated[
    bool,
    typer.Option("--json", is_eager=True, callback=note_json, help="As `--format json`: one document on stdout."),
]


def with_json(command: Callable[..., None]) -> Callable[..., None]:
    """The command, wrapped for Typer: with `--json`, if one of its formats is JSON."""
    signature = inspect.signature(command)
    given = signature.parameters.get("format")
    formats = None if given is None else _formats(given.annotation)
    if formats is None or JSON not in [one.value for one in formats]:
        return command
    json = formats(JSON)

    @functools.wraps(command)
    def called(**values: Any) -> None:
        context: typer.Context = values["context"]
        if values.pop(_NAME):
            source = context.get_parameter_source("format")
            if source is not None and source.name == "COMMANDLINE" and values["format"] != json:
                raise typer.BadParameter(f"one format, not two: `--format {values['format']}`", param_hint="--json")
            values["format"] = json
        command(**values)

    added = inspect.Parameter(_NAME, inspect.Parameter.KEYWORD_ONLY, default=False, annotation=AsJson)
    parameters = list(signature.parameters.values())
    place = parameters.index(given) + 1 if given else 0
    called.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=[*parameters[:place], added, *parameters[place:]]
    )
    # Typer reads the annotations as well as the signature.
    called.__annotations__ = {**get_type_hints(command, include_extras=True), _NAME: AsJson}
    return called


def _formats(annotation: Any) -> type[enum.Enum] | None:
    """The formats that an annotation of `--format` allows; None if they are no enum."""
    kinds = [annotation, *get_args(annotation)]
    kinds += [inner for one in kinds for inner in get_args(one)]
    return next((one for one in kinds if isinstance(one, type) and issubclass(one, enum.Enum)), None)
