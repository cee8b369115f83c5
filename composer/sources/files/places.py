"""Where the tensors and layers of a file's graph stand among its modules, and names for them."""

from __future__ import annotations

import keyword
import re

from composer.sources.files.graph import FileGraph, Ref, Step, refs_in


def places_of(graph: FileGraph) -> dict[str, str]:
    """Name of a tensor that the network holds -> its path. An exporter's own name is put where the tensor is used."""
    homes: dict[str, list[str]] = {}
    for step in graph.steps:
        paths = ["", *(path for path, *_ in step.stack)]
        for name in step.taken:
            if name in graph.owned:
                homes[name] = [one for one in homes.get(name, paths) if one in paths]
    found = {}
    for name, owned in graph.owned.items():
        home = homes.get(name, [""])[-1]
        is_path = "." in owned.path and re.fullmatch(r"[\w.]+", owned.path)
        found[name] = owned.path if is_path or not home else f"{home}.{word_in_python(owned.path)}"
    return found


def word_of_input(name: str) -> str:
    """The name of an input as a word of Python."""
    found = word_in_python(name)
    return found if found.isidentifier() and not keyword.iskeyword(found) else f"_{found}"


def word_in_python(text: str) -> str:
    """A name as a word of Python."""
    return re.sub(r"\W", "_", text) or "_"


def further(step: Step) -> list[Ref]:
    """The tensors that a step takes besides the first argument."""
    return list(refs_in((step.args[1:], dict(step.kwargs))))
