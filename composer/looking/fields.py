"""Effective receptive fields of nodes, with attention and without."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from torch import Tensor

from composer.dag.scope import num_parameters
from composer.errors import Diagnostic, InputError
from composer.looking.canvas import FIELD, label, panels, picture, scale
from composer.looking.nodes import map_node
from composer.looking.plates import Finding, Plate, Section, Table
from composer.looking.receptive import THRESHOLD, effective_receptive_field, of_both, share_of_area
from composer.looking.sites import last_map

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from composer.compile.module import ComposedModule
    from composer.dag.composition import Composition

# An input pixel belongs to the field if its influence is above this share of the largest influence.
THRESHOLDS = (0.5, THRESHOLD, 0.01)
SAMPLES = 8


@dataclass(frozen=True)
class Field:
    """The field of a node, h w in 0..1, and that of the same node in the plain network; None if it is not there."""

    path: str
    whole: Tensor
    plain: Tensor | None


def check_nodes(model: ComposedModule, asked: Sequence[str]) -> list[str]:
    """Paths of nodes with a feature map or tokens: the requested nodes, or the last. Raises InputError."""
    if not asked:
        last = last_map(model.graph)
        return [] if last is None else [last]
    problems: list[Diagnostic] = []
    for path in asked:
        try:
            map_node(model.graph, path)
        except InputError as error:
            problems += error.diagnostics
    InputError.check(problems)
    return list(asked)


def field_of(model: ComposedModule, path: str) -> Field:
    """The effective receptive field of a node, and that of the same node without attention, if there is one."""
    plain = model.graph.plain
    if plain is model.graph or path not in {place.node.path for place in plain.places}:
        return Field(path, effective_receptive_field(model, path, samples=SAMPLES), None)
    return Field(path, *of_both(model, path, samples=SAMPLES))


def replaced(graph: Composition) -> list[str]:
    """Paths of the plain network's operations with weights that rules removed or replaced."""
    ours = {node.path: node.content for node, _ in graph.operations}
    return [
        node.path for node, _ in graph.plain.operations if num_parameters(node) and ours.get(node.path) != node.content
    ]


def fields_section(model: ComposedModule, paths: Sequence[str]) -> Section | None:
    """The fields of nodes; None without nodes."""
    if not paths:
        return None
    found, own = [field_of(model, path) for path in paths], len(replaced(model.graph))
    text = (
        "How much each input pixel moves the middle of a node's output: the gradient, mean over random inputs, as a "
        "share of its largest value (Luo et al. 2016). The plain network is the same without its attention rules, "
        "with the same weights"
        + (f" (but for what attention replaced, {own} of its operations: these are random)" if own else "")
        + ". Colours are of the square root, so that faint influence shows."
    )
    return Section(
        "Effective receptive field",
        text,
        [
            Plate(
                f"field-{number + 1}",
                one.path,
                "Left: with attention. Right: the same node of the plain network." if one.plain is not None else "",
                f"Effective receptive field of {one.path}; the table holds its size.",
                partial(_draw, one),
            )
            for number, one in enumerate(found)
        ],
        _table(found),
        [finding for one in found for finding in _findings(one)],
    )


def _table(found: Sequence[Field]) -> Table:
    heads = ("node", "network", *(f"area above {threshold:.2%}" for threshold in THRESHOLDS))
    rows = []
    for one in found:
        for name, field in (("with attention", one.whole), ("plain", one.plain)):
            if field is not None:
                shares = (f"{share_of_area(field, threshold):.1%}" for threshold in THRESHOLDS)
                rows.append((one.path, name, *shares))
    return Table(heads, tuple(rows), heads[2:])


def _findings(one: Field) -> list[Finding]:
    ours = share_of_area(one.whole)
    theirs = "" if one.plain is None else f", {share_of_area(one.plain):.1%} without attention"
    what = f"its effective receptive field covers {ours:.1%} of the input{theirs}"
    return [Finding(one.path, what, f"influence above {THRESHOLD:.2%} of the largest", True)]


def _draw(one: Field) -> Figure:
    shown = [("with attention", one.whole)] + ([("plain", one.plain)] if one.plain is not None else [])
    height, width = one.whole.shape
    made, grid = panels(1, len(shown), aspect=height / width, widest=2.4, bottom=0.4)
    for place, (title, values) in zip(grid[0], shown, strict=True):
        if len(shown) == 1:
            title = one.path
        picture(place, values.sqrt().numpy(), label(title), cmap=FIELD, vmin=0, vmax=1)
        scale(place, 0, 1, FIELD, middle=0.25)
    return made
