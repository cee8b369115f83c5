"""Remarks on a valid network: how it trains, and options that have less effect than they say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from composer.amounts import plural
from composer.dag.composition import Composition
from composer.dag.operation import Operation
from composer.dag.order import node_of
from composer.dag.scope import Scope
from composer.errors import one_of


def notes(graph: Composition) -> list[str]:
    """Sentences, each with the number of places it holds for and the first of these."""
    found = []
    if graph.refusing_one:
        found.append(f"training needs batches of at least 2: {_places(graph.refusing_one)}")
    if narrow := narrowed(graph):
        found.append(f"reduction is larger than the channels, the hidden width its smallest: {_places(narrow)}")
    if raw := dict(_raw_inputs(graph.root)):
        found.append(f"`concat` takes the input of a node that `when` leaves out: {_places(raw)}")
    if graph.root.training:
        names = [name for name in graph.root.outputs if name in graph.root.training]
        found.append(f"only training has the outputs {one_of(names)}, and computes what only they need")
    return found


def _raw_inputs(scope: Scope) -> Iterator[tuple[str, str]]:
    """Path of each `concat` that joins an input of its block, or one tensor twice, only because a node is left out; and
    that node, in words. What a site marks as meant, such as a shortcut, does not count.
    """
    # Node that is left out -> the node or input whose tensor it passes on.
    passed: dict[str, str] = {}
    for node in scope.nodes.values():
        if isinstance(node.content, Scope):
            yield from _raw_inputs(node.content)
        elif node.content is None and not node.sites:
            passed[node.name] = passed.get(node.inputs[0], node.inputs[0])
        elif node.op == "concat":
            for reference in node.inputs:
                given = passed.get(reference)
                if given is not None and (node_of(given) in scope.inputs or given in node.inputs):
                    yield node.path, f"`{reference}` passes `{given}` on"


def narrowed(graph: Composition) -> Mapping[str, str]:
    """Path of each mechanism whose reduction is larger than its channels -> both numbers, in words."""
    found = {}
    for node, _ in graph.operations:
        assert isinstance(node.content, Operation)
        arguments = node.content.arguments
        channels, reduction = arguments.get("channels", arguments.get("in_channels")), arguments.get("reduction")
        # An explicit `hidden` overrides the reduction.
        known = isinstance(channels, int) and isinstance(reduction, int) and arguments.get("hidden") is None
        if known and reduction > channels:
            found[node.path] = f"reduction {reduction}, {channels} channels"
    return found


def _places(reasons: Mapping[str, str]) -> str:
    path, reason = next(iter(reasons.items()))
    return f"{plural(len(reasons), 'place')} such as {path} ({reason})"
