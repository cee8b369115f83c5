"""Remarks on a valid network: how it trains, and options that have less effect than they say."""

from __future__ import annotations

from collections.abc import Mapping

from composer.amounts import plural
from composer.dag.composition import Composition
from composer.dag.scope import Operation


def notes(graph: Composition) -> list[str]:
    """Sentences, each with the number of places it holds for and the first of these."""
    found = []
    if graph.refusing_one:
        found.append(f"training needs batches of at least 2: {_places(graph.refusing_one)}")
    if narrow := narrowed(graph):
        found.append(f"reduction is larger than the channels, the hidden width its smallest: {_places(narrow)}")
    return found


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
