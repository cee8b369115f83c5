"""Effective receptive fields of nodes, with attention and without."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from torch import Tensor

from composer.compile.module import ComposedModule, compile_graph
from composer.dag.scope import TensorSpec
from composer.errors import Diagnostic, InputError, did_you_mean
from composer.look.canvas import FIELD, label, panels, picture, scale
from composer.look.plates import Finding, Plate, Section, Table
from composer.look.receptive import effective_receptive_field, share_of_area
from composer.look.sites import last_map

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# An input pixel belongs to the field where its influence is at least this share of the largest.
THRESHOLDS = (0.5, 0.05, 0.01)
SAMPLES = 8


@dataclass(frozen=True)
class Field:
    """The field of one node, h w in 0..1, and that of the same node in the plain network; None where it has none."""

    path: str
    whole: Tensor
    plain: Tensor | None


def check_nodes(model: ComposedModule, asked: Sequence[str]) -> list[str]:
    """Paths of nodes with a feature map: those that were asked for, or the last level. Raises InputError."""
    if not asked:
        last = last_map(model.graph)
        return [] if last is None else [last]
    nodes = {place.node.path: place.node for place in model.graph.places}
    problems = []
    for path in asked:
        if path not in nodes:
            text = f"`{model.spec.name}` has no node `{path}`"
            help = did_you_mean(path, nodes, "`composer sites SPEC '**'` lists all")
            problems.append(Diagnostic("node", text, help=help))
        elif not isinstance(output := nodes[path].output, TensorSpec) or output.layout not in LAYOUTS:
            text = f"`{path}` gives {output if isinstance(output, TensorSpec) else 'several outputs'}"
            label = "a node that gives a feature map or tokens"
            problems.append(Diagnostic("node", text, label=label))
    if problems:
        raise InputError(problems)
    return list(asked)


LAYOUTS = ("b c h w", "b h w c", "b n c")


def fields(model: ComposedModule, paths: Sequence[str]) -> list[Field]:
    """The effective receptive field of each node, and of the same node in the network without its rules."""
    plain, _ = without_attention(model)
    known = set() if plain is None else {place.node.path for place in plain.graph.places}
    return [
        Field(
            path,
            effective_receptive_field(model, path, samples=SAMPLES).cpu(),
            effective_receptive_field(plain, path, samples=SAMPLES).cpu()
            if plain is not None and path in known
            else None,
        )
        for path in paths
    ]


def without_attention(model: ComposedModule) -> tuple[ComposedModule | None, int]:
    """The network without its rules and with the same weights, and how many of its tensors the other does not have.

    Those are drawn from the seed. None for a network without rules.
    """
    if not model.graph.spec.rules:
        return None, 0
    plain = compile_graph(model.graph.plain, model.seed).eval()
    ours, wanted = model.state_dict(), plain.state_dict()
    shared = {name: ours[name] for name, value in wanted.items() if name in ours and ours[name].shape == value.shape}
    plain.load_state_dict(shared, strict=False)
    like = next(model.parameters(), None)
    return (plain if like is None else plain.to(like.device)), len(wanted) - len(shared)


def fields_section(model: ComposedModule, paths: Sequence[str]) -> Section | None:
    """The fields of nodes; None without any."""
    if not paths:
        return None
    found = fields(model, paths)
    _, own = without_attention(model)
    text = (
        "How much each input pixel moves the middle of a node's output: the gradient, mean over random inputs, as a "
        "share of its largest value (Luo et al. 2016). The plain network is the same without its attention rules, "
        "with the same weights"
        + (f", but for {own} tensors of what attention replaced, which are random" if own else "")
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
    heads = ("node", "network", *(f"area ≥ {threshold:g}" for threshold in THRESHOLDS))
    rows = []
    for one in found:
        for name, field in (("with attention", one.whole), ("plain", one.plain)):
            if field is not None:
                shares = (f"{share_of_area(field, threshold):.1%}" for threshold in THRESHOLDS)
                rows.append((one.path, name, *shares))
    return Table(heads, tuple(rows), heads[2:])


def _findings(one: Field) -> list[Finding]:
    threshold = THRESHOLDS[-1]
    ours = share_of_area(one.whole, threshold)
    theirs = "" if one.plain is None else f", {share_of_area(one.plain, threshold):.1%} without attention"
    what = f"its effective receptive field covers {ours:.1%} of the input{theirs}"
    return [Finding(one.path, what, f"influence of at least {threshold:g} of the largest", True)]


def _draw(one: Field) -> Figure:
    shown = [("with attention", one.whole)] + ([("plain", one.plain)] if one.plain is not None else [])
    height, width = one.whole.shape
    made, grid = panels(1, len(shown), aspect=height / width, widest=2.4, bottom=0.4)
    for place, (title, values) in zip(grid[0], shown, strict=True):
        if len(shown) == 1:
            title = one.path
        picture(place, values.sqrt().numpy(), label(title), cmap=FIELD, vmin=0, vmax=1)
        scale(place, 0, 1, FIELD)
    return made
