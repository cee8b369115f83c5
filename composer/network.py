"""The composed graph as people use it: printable, drawable, and as one flat networkx.DiGraph."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import networkx as nx

from composer.dag.composition import Composition
from composer.dag.flatten import flat_graph, flat_json
from composer.notebook import graph_html, show_graph
from composer.summary import Summary, summarise


class Graph(Composition):
    """A network as a tree of scopes, every shape known. Immutable.

    spec    what it was composed from
    root    its scopes and operations
    edits   of a module's graph: which of its modules are others by now than those composed, a sentence each
    """

    def summary(self, time: Mapping[str, float] | None = None) -> Summary:
        """Its nodes as a table, folded by repeats, with what they cost and what attention added.

        `time` is what `composer.timing.measure` found, if anyone did.
        """
        return summarise(self, time)

    def networkx(self) -> nx.DiGraph[str]:
        """One flat networkx.DiGraph of inputs and operations. Each node has op, options, shape, layout, parameters,
        macs (None where not known), rule, sites and line; each edge `index`, the list of inputs it feeds. The graph's
        own attribute `outputs` says which node gives which output."""
        return flat_graph(self)

    def to_json(self) -> dict[str, Any]:
        """The flat graph as plain JSON values."""
        return flat_json(self)

    def show(self) -> None:
        """Show its page, in which blocks open, in the notebook that asks, or else in the browser."""
        show_graph(self)

    def _repr_html_(self) -> str:
        return graph_html(self)
