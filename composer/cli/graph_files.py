"""Verbs that need a network that runs, and what each says of a file that holds only a graph."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from composer.errors import Diagnostic, InputError

_SOURCE = "name the model that it was exported from, such as `timm:NAME` or `package.module:factory` with --allow-code"
# Verb -> what it cannot do with such a file, and what to do instead.
INSTEAD = {
    "build": ("nothing can be built of it", f"{_SOURCE}; `composer summary` counts what the file holds"),
    "run": ("composer does not run it", f"onnxruntime runs .onnx, torch.export.load .pt2; or {_SOURCE}"),
    "look": ("maps need a network that runs", f"{_SOURCE}; `composer graph` shows where its attention is"),
    "bench": ("there is nothing to measure", f"{_SOURCE}; `composer summary` counts its multiply-accumulates"),
    "train": ("it has nothing to train", _SOURCE),
    "scan": (
        "mechanisms are not trained in it",
        f"{_SOURCE}; without --data, `composer scan` says what each place would cost",
    ),
    "plan": ("what is planned is a training, which it cannot have", _SOURCE),
    "eject": ("it has no source to write", f"{_SOURCE}; `composer graph FILE -o FILE.html` shows its operations"),
    "export": ("it is exported already", "convert it with the tools of its format, or export its model again"),
    "import": ("a spec is written of modules, not of a graph", _SOURCE),
    "push": ("a shared network can be built, and this one cannot", "upload the file as it is, or push its model"),
    "new": ("a spec starts from a network that can be built", _SOURCE),
}
_ARGUMENTS = ("spec", "specs", "source", "backbone", "vs")


def refusing(verb: str, command: Callable[..., None]) -> Callable[..., None]:
    """The command; if it needs a network that runs, it refuses files of graphs with its own sentence."""
    if verb not in INSTEAD:
        return command

    @functools.wraps(command)
    def called(**values: Any) -> None:
        # Without data, `scan` only says what each place would cost.
        names = () if verb == "scan" and values.get("data") is None else _ARGUMENTS
        for name in names:
            given = values.get(name)
            for one in given if isinstance(given, list | tuple) else (given,):
                if isinstance(one, str):
                    _check(verb, one)
        command(**values)

    return called


def _check(verb: str, source: str) -> None:
    from composer.spec.model_source import is_graph_file

    if is_graph_file(source):
        cannot, help = INSTEAD[verb]
        text = f"`{source}` is the graph of a network without a module: {cannot}"
        raise InputError(Diagnostic("graph-file", text, label="a network that can be built", help=(help,)))
