"""A graph -> its summary: rows, totals, and what each attention rule added."""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from composer.dag.graph import Graph, compose
from composer.dag.scope import Operation, TensorSpec
from composer.summary.cost import Cost
from composer.summary.memory import Traces, Unknown, activation_memory
from composer.summary.rows import Row, root_row
from composer.summary.view import View


@dataclass(frozen=True)
class RuleCost:
    """What one attention rule did: its mechanism and place as written, paths of its mechanisms, and what they cost."""

    use: str
    at: str
    paths: tuple[str, ...]
    cost: Cost

    def to_json(self) -> dict[str, Any]:
        """The same as plain JSON values."""
        found = {"use": self.use, "at": self.at, "places": len(self.paths), "paths": list(self.paths)}
        return {**found, **self.cost.to_json()}


@dataclass(frozen=True, repr=False)
class Summary:
    """A network's rows and totals. Prints as a table.

    root     the row of the whole network, above all others
    plain    what the same network costs without its attention rules
    rules    what each of them added, in the order they apply
    unknown  why activation memory is not known; empty when it is
    """

    name: str
    inputs: Mapping[str, TensorSpec]
    outputs: Mapping[str, TensorSpec]
    root: Row
    plain: Cost
    rules: tuple[RuleCost, ...]
    unknown: str = ""

    def __str__(self) -> str:
        return str(self.view())

    __repr__ = __str__

    @property
    def cost(self) -> Cost:
        """What the network costs."""
        return self.root.cost

    def view(self, *, depth: int | None = None, sort: str = "order", columns: Sequence[str] | None = None) -> View:
        """A part of it, or another order: prints as a table, and writes itself as Markdown and CSV.

        depth    rows to show below the network's own; as many as 60 lines hold unless given
        sort     `order` (as they run), or rows of one parent by `parameters`, `macs`, `memory` or `time`, the largest
                 first
        columns  names from `composer.summary.view.COLUMNS`
        Raises InputError for a name that is none of these.
        """
        return View.of(self, depth, sort, columns)

    def to_json(self) -> dict[str, Any]:
        """Everything, as plain JSON values."""
        return {
            "name": self.name,
            "inputs": {name: list(tensor.without_batch) for name, tensor in self.inputs.items()},
            "outputs": {name: list(tensor.without_batch) for name, tensor in self.outputs.items()},
            **self.cost.to_json(),
            "time": self.root.time,
            "memory_unknown": self.unknown or None,
            "without_attention": self.plain.to_json(),
            "rules": [rule.to_json() for rule in self.rules],
            "rows": [row.to_json() for row in self.root.rows],
        }


def summarise(graph: Graph, time: Mapping[str, float] | None = None) -> Summary:
    """What a network is made of and costs. Allocates nothing; takes time linear in its nodes, once for each rule.

    `time` is that of the operations by path, in seconds, where it was measured.
    """
    traces, unknown = Traces(), ""
    memory: Mapping[str, int] | None = None
    try:
        memory = activation_memory(graph.root, traces)
    except Unknown as problem:
        unknown = str(problem)
    root = root_row(graph, memory, time)
    costs = [*(_cost(step, traces, known=not unknown) for step in _steps(graph)), root.cost]
    places = _places(graph)
    rules = tuple(
        RuleCost(rule.use or "", f"{rule.position} {rule.selector}", tuple(places[number]), after - before)
        for number, ((rule, _), (before, after)) in enumerate(zip(graph.spec.rules, pairwise(costs), strict=True))
    )
    return Summary(graph.spec.name, graph.root.inputs, graph.outputs, root, costs[0], rules, unknown)


def _steps(graph: Graph) -> Iterator[Graph]:
    """The network without its rules, with the first, with the first two …, without the last."""
    for count in range(len(graph.spec.rules)):
        yield compose(replace(graph.spec, rules=graph.spec.rules[:count]), graph.limits) if count else graph.plain


def _cost(graph: Graph, traces: Traces, known: bool) -> Cost:
    memory = None
    # A rule may have replaced what cannot be traced.
    with contextlib.suppress(Unknown):
        memory = sum(activation_memory(graph.root, traces).values()) if known else None
    return Cost(graph.num_parameters, graph.num_macs, memory)


def _places(graph: Graph) -> Mapping[int | None, list[str]]:
    """Paths of the mechanisms that each rule put in."""
    found: defaultdict[int | None, list[str]] = defaultdict(list)
    for node, _ in graph.operations:
        if isinstance(node.content, Operation) and node.content.entry.category == "mechanism":
            found[node.rule].append(node.path)
    return found
