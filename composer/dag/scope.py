"""The graph's values: tensors with named axes, nodes, and scopes that hold nodes."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import networkx as nx

from composer.registry import Entry
from composer.spec.origin import Origin
from composer.spec.sites import STAGE

BATCH = 2  # BatchNorm refuses a batch of 1 on a 1x1 map in training


@dataclass(frozen=True)
class TensorSpec:
    """A tensor on the graph: its shape at batch 2, and the einops names of its axes where they are known."""

    shape: tuple[int, ...]
    layout: str | None = None

    def axis(self, name: str) -> int | None:
        """Length of the axis with this name; None without such an axis."""
        axes = (self.layout or "").split()
        return self.shape[axes.index(name)] if name in axes else None

    @property
    def channels(self) -> int | None:
        """Length of `c`."""
        return self.axis("c")

    @property
    def without_batch(self) -> tuple[int, ...]:
        """The shape of one example; a tensor without a batch axis (a parameter) has its whole shape."""
        axes = (self.layout or "").split()
        return tuple(n for i, n in enumerate(self.shape) if axes[i : i + 1] != ["b"])

    @cached_property
    def facts(self) -> Mapping[str, int]:
        """What expressions may read of it: channels, height, width, tokens, where it has them."""
        found = {
            "channels": self.axis("c"),
            "height": self.axis("h"),
            "width": self.axis("w"),
            "tokens": self.axis("n"),
        }
        return {name: length for name, length in found.items() if length is not None}

    def __str__(self) -> str:
        axes = (self.layout or "").split()
        if "b" not in axes:
            return "×".join(map(str, self.shape)) or "a scalar"
        return "×".join("b" if axis == "b" else str(length) for axis, length in zip(axes, self.shape, strict=True))


@dataclass(frozen=True, eq=False)
class Operation:
    """What computes a node: one entry of the registry with everything it is called with.

    Whether two are the same is said by `key`, and by `==`, alone; `make` alone makes what computes. So an operation may
    one day be something else than a factory and its arguments.
    """

    entry: Entry
    arguments: Mapping[str, Any]
    num_parameters: int = 0

    @cached_property
    def key(self) -> Hashable:
        """Equal for operations that compute the same, but for the values of their parameters."""
        return self.entry, repr(sorted(self.arguments.items()))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Operation) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)

    def make(self) -> Any:
        """What computes: a module, a function of tensors, or a parameter."""
        return self.entry.make(self.arguments)

    @cached_property
    def options(self) -> dict[str, Any]:
        """The arguments that differ from the entry's defaults, facts left out: what a person would write."""
        fields = self.entry.options.model_fields
        return {k: v for k, v in self.arguments.items() if k in fields and v != fields[k].default}


@dataclass(frozen=True)
class Node:
    """A step of a scope: an operation, a scope of its own, or (content None) its first input passed on.

    inputs   names of nodes or inputs of the scope, in order; `name.output` for one of several outputs
    output   the tensor it gives; a mapping for a scope with several outputs
    rule     number of the attention rule that put it here, counted from 0; None for the backbone's own
    tail     name of the node that stands for this one's output now: rules put nodes behind it
    """

    name: str
    path: str
    origin: Origin
    inputs: tuple[str, ...]
    content: Operation | Scope | None
    output: TensorSpec | Mapping[str, TensorSpec]
    sites: tuple[str, ...] = ()
    rule: int | None = None
    tail: str | None = None

    @property
    def op(self) -> str:
        """Name of the operation or block."""
        if self.content is None:
            return "pass"
        return self.content.entry.name if isinstance(self.content, Operation) else self.content.block

    @property
    def entry(self) -> Entry | None:
        """What the registry has of its operation; None for one without."""
        return self.content.entry if isinstance(self.content, Operation) else None

    @property
    def tensor(self) -> TensorSpec:
        """The one tensor it gives."""
        assert isinstance(self.output, TensorSpec), f"{self.path} has several outputs"
        return self.output


@dataclass(frozen=True)
class Scope:
    """An instance of a block (or a repeat, or the whole network): nodes in the order they run.

    exposed  names of the outputs that the block itself does not have: a path from outside leads to them
    named    of a network, whether it gives a dict of its outputs though there may be one; else the one tensor
    end      of a network, the node that it tags `features`, though its outputs may leave it out; None without one
    """

    block: str
    path: str
    inputs: Mapping[str, TensorSpec]
    nodes: Mapping[str, Node] = field(repr=False)
    outputs: Mapping[str, str]
    exposed: frozenset[str] = frozenset()
    named: bool = False
    end: str | None = None

    @property
    def main_outputs(self) -> list[str]:
        """Names of what its module returns: all outputs but those that are passed outward beside it."""
        own = [name for name in self.outputs if name not in self.exposed]
        return own or list(self.outputs)[:1]

    @property
    def outward(self) -> list[str]:
        """Names of the outputs that are passed outward beside what its module returns."""
        main = self.main_outputs
        return [name for name in self.outputs if name not in main]

    @property
    def gives_dict(self) -> bool:
        """Whether its module returns a dict of tensors by name, not one tensor."""
        return self.named or len(self.main_outputs) > 1

    @cached_property
    def graph(self) -> nx.DiGraph[str]:
        """The scope as a frozen networkx.DiGraph: nodes carry `node`, edges the position of the input they feed."""
        graph: nx.DiGraph[str] = nx.DiGraph()
        graph.add_nodes_from(self.inputs)
        graph.add_nodes_from((name, {"node": node}) for name, node in self.nodes.items())
        for name, node in self.nodes.items():
            graph.add_edges_from((reference.partition(".")[0], name) for reference in node.inputs)
        return nx.freeze(graph)

    def tensor(self, reference: str) -> TensorSpec:
        """The tensor that a reference (`node`, `node.output` or an input) stands for."""
        name, _, output = reference.partition(".")
        if name in self.inputs:
            return self.inputs[name]
        found = self.nodes[name].output
        return found if isinstance(found, TensorSpec) else found[output]

    def walk(self) -> Iterator[Node]:
        """Every node below, scopes before what they hold, in the order they run."""
        for node in self.nodes.values():
            yield node
            if isinstance(node.content, Scope):
                yield from node.content.walk()

    @cached_property
    def num_nodes(self) -> int:
        """Nodes in it and in the scopes that it holds."""
        return len(self.nodes) + sum(one.num_nodes for one in self._scopes)

    @cached_property
    def num_operations(self) -> int:
        """Operations in it and in the scopes that it holds."""
        own = sum(isinstance(node.content, Operation) for node in self.nodes.values())
        return own + sum(one.num_operations for one in self._scopes)

    @cached_property
    def num_stages(self) -> int:
        """Nodes of the site `stage`, in it and in the scopes that it holds."""
        own = sum(STAGE in node.sites for node in self.nodes.values() if node.content is not None)
        return own + sum(one.num_stages for one in self._scopes)

    @cached_property
    def _scopes(self) -> list[Scope]:
        return [node.content for node in self.nodes.values() if isinstance(node.content, Scope)]

    @cached_property
    def num_parameters(self) -> int:
        """Learnable numbers in it."""
        return sum(num_parameters(node) for node in self.nodes.values())


def num_parameters(node: Node) -> int:
    """Learnable numbers in a node."""
    return 0 if node.content is None else node.content.num_parameters
