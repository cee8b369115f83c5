"""Errors in what a plugin's mechanism declares, shown in the plugin's file instead of in the spec."""

from __future__ import annotations

import linecache
from collections.abc import Sequence

from composer.dag.scope import Node
from composer.dag.tensor import TensorSpec
from composer.errors import Diagnostic, Location, Source, one_of
from composer.registry import ModuleEntry
from composer.spec.origin import Origin


def never_told(entry: ModuleEntry, facts: Sequence[str], origin: Origin, path: str) -> Diagnostic:
    """The error for a mechanism that takes facts of a convolution, but does not declare that it replaces one."""
    text = f"{entry.words} takes {one_of(facts)}, which only what stands in for a convolution is told"
    help = (
        f"or move {one_of(facts)} behind `*`, where the spec sets it in `with`, or give it a default",
        *_used(origin),
    )
    return _problem(entry, text, '`replaces="conv"` in its decorator', help, path)


def not_asked_for(
    entry: ModuleEntry, arriving: TensorSpec, wanted: TensorSpec, host: Node, origin: Origin
) -> Diagnostic | None:
    """The error for a mechanism that replaces a convolution without taking the facts that change the shape, or None."""
    changes = {
        "out_channels": arriving.channels != wanted.channels,
        "stride": (arriving.axis("h"), arriving.axis("w")) != (wanted.axis("h"), wanted.axis("w")),
    }
    facts = [name for name, changed in changes.items() if changed and name not in entry.facts]
    if entry.is_own or not facts:
        return None
    text = f"{entry.words} stands in for a convolution and does not ask for its {one_of(facts)}"
    told = f"`{host.path}` turns {arriving} into {wanted}, and so must what stands in for it"
    label = f"{one_of(facts)} before the `*` of `{entry.factory.__name__}.__init__`"
    return _problem(entry, text, label, (told, *_used(origin)), host.path)


def _used(origin: Origin) -> tuple[str, ...]:
    location = origin.location()
    return (f"it is used at {location}",) if location is not None else ()


def _problem(entry: ModuleEntry, text: str, label: str, help: tuple[str, ...], path: str) -> Diagnostic:
    lines = linecache.getlines(entry.file)
    width = len(lines[entry.line - 1].rstrip()) if 0 < entry.line <= len(lines) else 1
    location = Location(Source(entry.file, "".join(lines)), entry.line, 1, width + 1)
    return Diagnostic("plugin", text, location, path, label, help)
