"""The composed graph as people use it: printable, drawable, and as a flat networkx.DiGraph."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import networkx as nx

from composer import given
from composer.dag.composition import Composition
from composer.dag.flatten import flat_graph, flat_json
from composer.dag.host import HostScope
from composer.notebook import graph_html, show_graph
from composer.saving import save_graph
from composer.summary import Summary, summarise

if TYPE_CHECKING:
    from torch import nn


class Graph(Composition):
    """A network as a tree of scopes with every shape known. Immutable.

    spec    the spec from which it was composed
    root    its scopes and operations
    edits   for the graph of a module: sentences on the modules that were changed by hand since
    """

    def summary(self, time: Mapping[str, float] | None = None) -> Summary:
        """The network's nodes as a table, folded by repeats, with their cost and what attention added.

        time  path -> seconds, as `composer.timing.measure` returns
        """
        return summarise(self, time)

    @property
    def findings(self) -> tuple[str, ...]:
        """Of a model of another library, a sentence for each site: how many nodes have it, which, and why."""
        return self.root.findings if isinstance(self.root, HostScope) else ()

    def networkx(self) -> nx.DiGraph[str]:
        """The inputs and operations as a flat networkx.DiGraph.

        Each node has op, options, shape, layout, grid (height and width of the map from which its tokens come) and
        prefix_tokens (both None if not known), parameters, macs (None if not known), rule, sites, shares and line; each
        edge has `index`, the list of inputs it feeds; the graph's attribute `outputs` maps outputs to their nodes.
        `shares` maps a child of the node's module, "" for all of it, to the path of the node that owns what is called
        there, and has its parameters. A mechanism that only other nodes call has no edges.
        """
        return flat_graph(self)

    def to_json(self) -> dict[str, Any]:
        """The flat graph as plain JSON values."""
        return flat_json(self)

    def show(self, module: nn.Module | None = None) -> None:
        """Show the page of the network, in which blocks open, in the calling notebook, or else in the browser.

        module  the network with its weights, such as the one that `composer.view` was given: the page then shows how
                the weights of each node are distributed
        """
        show_graph(self, module=module)

    def save(
        self,
        path: str | Path,
        *,
        depth: int | None = None,
        select: str | None = None,
        direction: Literal["TB", "LR"] = "TB",
        theme: str = "auto",
        width: str | None = None,
        module: nn.Module | None = None,
        force: bool = False,
    ) -> None:
        """Write a picture or the page of the network, as `composer graph` does; the ending of the path is the format.

        path       .svg, .html, .png, .pdf, .tex, .dot, .mmd or .json; PNG and PDF need the extra `draw`
        depth      levels of boxes that are open; None for as many as stay readable
        select     a path, site or glob: only the blocks that it finds, and nodes that are in no block
        direction  TB, down, or LR, to the right
        theme      `auto`, `light`, `dark` or `paper`
        width      of a figure for a paper, such as `8cm`: an .svg, .png, .pdf or .tex that runs down
        module     for a page: the network with its weights, as for `show`
        force      replace a file that exists
        Raises InputError for another ending, a path that cannot be written, a place that nothing is called, or a value
        that a keyword cannot have.
        """
        save_graph(self, given.path("path", path), depth, select, direction, theme, width, module, force=force)

    def _repr_html_(self) -> str:
        return graph_html(self)
