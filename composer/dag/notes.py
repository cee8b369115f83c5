"""What is worth saying about a network that is fine: how it trains, and options that came to less than they say."""

from __future__ import annotations

from collections.abc import Mapping

from composer.amounts import plural
from composer.dag.composition import Composition
from composer.dag.scope import Operation


def notes(graph: Composition) -> list[str]:
    """One sentence each, with how many places it holds for and the first of them."""
    found = []
    if graph.refusing_one:
        found.append(f"training needs batches of at least 2: {_places(graph.refusing_one)}")
    if narrow := narrowed(graph):
        found.append(f"reduction is larger than the channels, the hidden width its smallest: {_places(narrow)}")
    return found


def narrowed(graph: Composition) -> Mapping[str, str]:
    """Paths of the mechanisms whose reduction is larger than their channels, with both numbers."""
    found = {}
    for node, _ in graph.operations:
        assert isinstance(node.content, Operation)
        arguments = node.content.arguments
        channels, reduction = arguments.get("channels", arguments.get("in_channels")), arguments.get("reduction")
        # A `hidden` that is written says the width itself.
        known = isinstance(channels, int) and isinstance(reduction, int) and arguments.get("hidden") is None
        if known and reduction > channels:
            found[node.path] = f"reduction {reduction}, {channels} channels"
    return found


def _places(reasons: Mapping[str, str]) -> str:
    path, reason = next(iter(reasons.items()))
    return f"{plural(len(reasons), 'place')} such as {path} ({reason})"
