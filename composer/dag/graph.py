"""The composed graph as people use it: whole, countable, printable, and as one flat networkx.DiGraph."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import networkx as nx
import torch

from composer.dag.elaborate import elaborate
from composer.dag.infer import Inference, build, refuses_one
from composer.dag.levels import Level, levels
from composer.dag.limits import Limits
from composer.dag.outputs import take_outputs
from composer.dag.place import place
from composer.dag.places import Place, places
from composer.dag.scope import BATCH, Node, Operation, Scope, TensorSpec, num_parameters
from composer.errors import Diagnostic, GraphError
from composer.spec.load import Spec
from composer.spec.model import Rule

if TYPE_CHECKING:
    from composer.summary import Summary


@dataclass(frozen=True)
class Added:
    """What one attention rule did: the paths of its mechanisms, and what the network's totals grew by."""

    rule: Rule
    places: tuple[str, ...]
    parameters: int
    macs: int


@dataclass(frozen=True)
class Graph:
    """A network as a tree of scopes, every shape known. Immutable."""

    spec: Spec
    root: Scope
    limits: Limits = field(default_factory=Limits)
    inference: Inference = field(default_factory=Inference, repr=False, compare=False)

    def __repr__(self) -> str:
        return f"<Graph {self.spec.name}: {len(self.operations)} operations, {self.num_parameters:,} parameters>"

    @cached_property
    def operations(self) -> list[tuple[Node, tuple[TensorSpec, ...]]]:
        """Every operation with the tensors it takes, in the order they run."""
        return list(_operations(self.root))

    @property
    def outputs(self) -> Mapping[str, TensorSpec]:
        """What the network gives, by name."""
        return {name: self.root.tensor(reference) for name, reference in self.root.outputs.items()}

    @cached_property
    def plain(self) -> Graph:
        """The same network without its attention rules."""
        return compose(replace(self.spec, rules=()), self.limits, self.inference) if self.spec.rules else self

    @property
    def num_parameters(self) -> int:
        """Learnable numbers of the network."""
        return self.root.num_parameters

    @cached_property
    def macs(self) -> Mapping[str, int]:
        """Multiply-accumulates of one input, by path of the operation."""
        return {node.path: _macs(node, inputs, self.inference.macs) for node, inputs in self.operations}

    @property
    def num_macs(self) -> int:
        """Multiply-accumulates of one input."""
        return sum(self.macs.values())

    @cached_property
    def places(self) -> list[Place]:
        """Where attention can go."""
        return places(self.root)

    @cached_property
    def levels(self) -> list[Level]:
        """Features at each scale, from the finest on."""
        return levels(self.root, self.places)

    @cached_property
    def head(self) -> Place | None:
        """The classifier: the last place of the site `head`."""
        return next((place for place in reversed(self.places) if "head" in place.node.sites), None)

    @cached_property
    def added(self) -> tuple[Added, ...]:
        """What each attention rule did, in the order they apply."""
        rules = [rule for rule, _ in self.spec.rules]
        steps = [_up_to(self, count) for count in range(len(rules) + 1)]
        return tuple(_added(self, number, rule, steps[number], steps[number + 1]) for number, rule in enumerate(rules))

    @cached_property
    def inserted(self) -> Mapping[str, int]:
        """Paths of the operations that rules put in, with the number of the rule."""
        return {node.path: node.rule for node, _ in self.operations if node.rule is not None}

    @cached_property
    def refusing_one(self) -> Mapping[str, str]:
        """Paths of the operations that cannot train on a batch of one, with the reason."""
        known: dict[Any, str | None] = {}
        found = {}
        for node, inputs in self.operations:
            operation = node.content
            assert isinstance(operation, Operation)
            key = (operation.entry.name, repr(sorted(operation.arguments.items())), inputs)
            if key not in known:
                known[key] = refuses_one(operation.entry, operation.arguments, inputs)
            if reason := known[key]:
                found[node.path] = reason
        return found

    def summary(self, time: Mapping[str, float] | None = None) -> Summary:
        """Its nodes as a table, folded by repeats, with what they cost and what attention added.

        `time` is what `composer.timing.measure` found, if anyone did.
        """
        from composer.summary import summarise

        return summarise(self, time)

    def networkx(self) -> nx.DiGraph[str]:
        """One flat networkx.DiGraph of inputs and operations. Each node has op, options, shape, layout, parameters,
        macs, rule, sites and line; each edge `index`, the list of inputs it feeds. The graph's own attribute `outputs`
        says which node gives which output."""
        flat: nx.DiGraph[str] = nx.DiGraph(name=self.spec.name)
        for name, tensor in self.root.inputs.items():
            flat.add_node(name, **_attributes("input", tensor))
        flat.graph["outputs"] = _flatten(self.root, {name: name for name in self.root.inputs}, flat)
        for path, macs in self.macs.items():
            flat.nodes[path]["macs"] = macs
        return flat

    def show(self) -> None:
        """Show a picture in the notebook that asks, or else in the browser."""
        from composer.draw.show import show_graph

        show_graph(self)

    def _repr_html_(self) -> str:
        from composer.draw.show import graph_html

        return graph_html(self)

    def to_json(self) -> dict[str, Any]:
        """The flat graph as plain JSON values."""
        flat = self.networkx()
        return {
            "name": self.spec.name,
            "parameters": self.num_parameters,
            "macs": self.num_macs,
            "outputs": flat.graph["outputs"],
            "nodes": [{"id": name, **data} for name, data in flat.nodes(data=True)],
            "edges": [{"from": a, "to": b, **data} for a, b, data in flat.edges(data=True)],
        }


def _added(graph: Graph, number: int, rule: Rule, before: Graph, after: Graph) -> Added:
    mine = [node.path for node, _ in graph.operations if node.rule == number and _is_mechanism(node)]
    parameters, macs = after.num_parameters - before.num_parameters, after.num_macs - before.num_macs
    return Added(rule, tuple(mine), parameters, macs)


def _up_to(graph: Graph, count: int) -> Graph:
    """The graph with only the first rules."""
    if count == len(graph.spec.rules):
        return graph
    spec = replace(graph.spec, rules=graph.spec.rules[:count])
    return compose(spec, graph.limits, graph.inference) if count else graph.plain


def _is_mechanism(node: Node) -> bool:
    return isinstance(node.content, Operation) and node.content.entry.category == "mechanism"


def compose(spec: Spec, limits: Limits | None = None, inference: Inference | None = None) -> Graph:
    """A spec's network with its attention in place and checked, nothing allocated. Raises GraphError.

    Networks composed with one `inference` share what it has found out about the operations they have in common.
    """
    limits, inference = limits or Limits(), inference or Inference()
    backbone = elaborate(spec, limits, inference)
    root = take_outputs(place(backbone, spec, limits, inference), backbone, spec)
    if problem := _classes_problem(spec, root):
        raise GraphError(problem)
    return Graph(spec, root, limits, inference)


def _classes_problem(spec: Spec, root: Scope) -> Diagnostic | None:
    """Class names that a file gives with its own network must be as many as its outputs."""
    if spec.classes is None or spec.files[0].content.classes is None or len(root.outputs) != 1:
        return None
    tensor = root.tensor(next(iter(root.outputs.values())))
    if tensor.layout != "b c" or tensor.channels == len(spec.classes) or spec.overrides:
        return None
    text = f"`classes` has {len(spec.classes)} names, the network {tensor.channels} outputs"
    return (spec.origin / "classes").problem("classes", text, f"{tensor.channels} names")


def _operations(scope: Scope) -> Iterator[tuple[Node, tuple[TensorSpec, ...]]]:
    for node in scope.nodes.values():
        if isinstance(node.content, Scope):
            yield from _operations(node.content)
        elif node.content is not None:
            yield node, tuple(scope.tensor(reference) for reference in node.inputs)


def _macs(node: Node, inputs: tuple[TensorSpec, ...], known: dict[Any, int]) -> int:
    operation = node.content
    assert isinstance(operation, Operation)
    if operation.entry.form == "parameter":
        return 0
    key = (operation.entry.name, repr(sorted(operation.arguments.items())), inputs)
    if key not in known:
        # Importing it imports triton, and few need multiply-accumulates.
        from torch.utils.flop_counter import FlopCounterMode

        with torch.device("meta"), torch.no_grad(), FlopCounterMode(display=False) as counter:
            build(operation.entry, operation.arguments)(*(torch.empty(tensor.shape) for tensor in inputs))
        # The counter counts a multiply and an add as two, for the whole batch.
        known[key] = counter.get_total_flops() // (2 * BATCH)
    return known[key]


def _flatten(scope: Scope, names: dict[str, str], flat: nx.DiGraph[str]) -> dict[str, str]:
    """Adds a scope's operations; `names` maps its inputs to flat nodes. Returns the same for its outputs."""
    names = dict(names)
    for node in scope.nodes.values():
        sources = [names[reference] for reference in node.inputs]
        if node.content is None:
            names[node.name] = sources[0]
        elif isinstance(node.content, Scope):
            inner = _flatten(node.content, dict(zip(node.content.inputs, sources, strict=True)), flat)
            names[node.name] = next(iter(inner.values()))
            names.update({f"{node.name}.{key}": value for key, value in inner.items()})
        else:
            names[node.name] = node.path
            flat.add_node(node.path, **_attributes(node.op, node.tensor, node))
            for index, source in enumerate(sources):
                feeds = flat.edges[source, node.path]["index"] if flat.has_edge(source, node.path) else []
                flat.add_edge(source, node.path, index=[*feeds, index])
    return {key: names[reference] for key, reference in scope.outputs.items()}


def _attributes(op: str, tensor: TensorSpec, node: Node | None = None) -> dict[str, Any]:
    content = node.content if node else None
    location = node.origin.location() if node else None
    return {
        "op": op,
        "options": content.options if isinstance(content, Operation) else {},
        "shape": tensor.without_batch,
        "layout": tensor.layout,
        "parameters": num_parameters(node) if node else 0,
        "macs": 0,
        "rule": node.rule if node else None,
        "sites": list(node.sites) if node else [],
        "line": str(location) if location else None,
    }
