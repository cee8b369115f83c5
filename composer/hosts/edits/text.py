"""The text of a generated file: imports, a class with one forward, and what it hides from loops over its children."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from torch import nn

from composer.compile.host_classes import HOST
from composer.compile.writer import identifier, is_called
from composer.dag.operation import Operation
from composer.hosts.edits.frames import FlatStep


def file_text(
    made: type[nn.Module],
    parameters: str,
    lines: Sequence[str],
    steps: Iterable[FlatStep],
    hider: str | None = None,
    beside: Iterable[str] = (),
    imports: Iterable[str] = (),
) -> str:
    """The file that defines the subclass of a class.

    parameters  of its forward, as in a `def`; empty for a class without a forward of its own
    lines       of its forward
    steps       the inserted steps, whose functions are imported
    hider       a base class that hides children named `beside`
    imports     further import lines
    """
    body = "\n".join(lines)
    found = set(imports)
    if "torch." in body:
        found.add("import torch")
    if "signature(" in parameters:
        found.add("from inspect import signature")
    for word, module in (
        ("with_result", "composer.hosts.edits.results"),
        ("as_opened", "composer.hosts.edits.results"),
    ):
        if f"{word}(" in body:
            found.add(f"from {module} import {word}")
    if hider:
        found.add(f"from composer.hosts.edits.beside import {hider}")
    found.update(map(_import, (step for step in steps if is_called(step.node))))
    kept = tuple(sorted(beside))
    hidden = [f"    beside = frozenset({list(kept)!r})", ""] if hider else []
    forward = [f"    def forward({parameters}):", *(f"        {line}" for line in lines)] if lines else []
    name = identifier(made.__name__)
    bases = ", ".join(filter(None, (hider, HOST)))
    where = f"    # {HOST}: {made.__module__}.{made.__qualname__}"
    head = [*sorted(found), "", ""] if found else []
    return "\n".join([*head, f"class {name}({bases}):", where, *hidden, *forward]).rstrip() + "\n"


def _import(step: FlatStep) -> str:
    content = step.node.content
    assert isinstance(content, Operation)
    plugin = content.entry.plugin.name
    return f"from composer.functions import {content.entry.name}" + (
        f"  # plugin: {plugin}" if plugin != "composer" else ""
    )
