"""Remarks of a report: how the weights' network differs from ours, and what is assumed."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from composer.dag.composition import Composition
from composer.errors import ComposerError
from composer.load_report import LoadReport
from composer.spec import zoo
from composer.spec.load import load_spec
from composer.spec.preparation import describe
from composer.spec.spec import Spec
from composer.weights.checkpoint import Checkpoint
from composer.weights.departures import Departure, compare_uses, departures
from composer.weights.facts import uses_in
from composer.weights.keys import read_key_map
from composer.weights.names import shapes_of
from composer.weights.preparation import different_preparation, for_channels, image_of, prepared, usual_spec

if TYPE_CHECKING:
    from composer.dag.composition import Composition

# The largest number of departures in a report.
_MOST = 8
_SILENT = "which eps, strides and activations it had"


def with_remarks(
    report: LoadReport, graph: Composition, checkpoint: Checkpoint, sources: Mapping[str, str]
) -> LoadReport:
    """The report, with remarks on how the source's network and images differ from ours.

    sources  our name of a tensor -> the source's, where they differ
    """
    facts = checkpoint.facts
    notes = list(report.notes)
    if facts.uses:
        known = {sources.get(name, name): name for name in report.loaded}
        theirs = {known.get(name, name): use for name, use in facts.uses.items()}
        notes = list(_departing(graph.spec, departures(graph, theirs, facts.input)))
    elif report.loaded:
        told = read_key_map(report.keys).vars_of(graph.spec) if zoo.key_map(report.keys) else {}
        notes += _unusual(graph, checkpoint.name, told)
    image = image_of(graph)
    if facts.input is not None and image is not None:
        # The images of a network inside another are prepared for the network around it.
        notes += filter(None, [] if graph.spec.is_part else [different_preparation(graph, facts.input)])
        image = prepared(graph, facts.input)
    if image is not None and any(one.kind == "channels" for one in report.adapted):
        image = for_channels(image)
    return replace(report, notes=tuple(notes), image=image, assumed=_assumed(graph, checkpoint))


def _departing(spec: Spec, found: list[Departure]) -> Iterator[str]:
    for one in found[:_MOST]:
        mend = f": set `vars: {{{one.mend}}}`" if one.mend else f"; no var of `{spec.name}` changes that"
        yield f"theirs has {one}{mend}"
    if len(found) > _MOST:
        yield f"theirs has {len(found) - _MOST} more settings that are other ones here"


def _unusual(graph: Composition, source: str, told: Container[str]) -> Iterator[str]:
    """Vars that differ from the backbone of the zoo, and that neither shapes nor a key map show."""
    usual = usual_spec(graph.spec)
    if usual is None:
        return
    shapes, uses = None, None
    for name, value in usual.vars.items():
        if graph.spec.vars.get(name, value) == value or name in told:
            continue
        try:
            other = Composition.of(load_spec(graph.spec, vars={name: value}), graph.limits)
        except ComposerError:
            continue
        shapes, uses = shapes or shapes_of(graph.plain), uses or uses_in(graph)
        if shapes_of(other.plain) == shapes and (found := compare_uses(uses, uses_in(other))):
            written, usually = (
                str(one).lower() if isinstance(one, bool) else one for one in (graph.spec.vars[name], value)
            )
            what = Departure(tuple(found))
            yield (
                f"{source} does not say whether it was trained with `{name}: {written}`, as this network is; the usual "
                f"`{usual.name}` has {what}: set `vars: {{{name}: {usually}}}` if it was trained as that"
            )


def _assumed(graph: Composition, checkpoint: Checkpoint) -> str:
    """What the source does not say, and what is assumed instead."""
    image, facts = image_of(graph), checkpoint.facts
    silent = [] if facts.input or image is None else ["how its images were prepared"]
    silent += [] if facts.uses else [_SILENT]
    if not silent:
        return ""
    taken = [] if facts.input or image is None else [describe(image)]
    taken += [] if facts.uses else [f"what `{graph.spec.name}` has"]
    return f"{checkpoint.name} does not say {', or '.join(silent)}; assumed: {', and '.join(taken)}"
