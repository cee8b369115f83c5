"""Nodes, and the scopes that hold them: the graph of a network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from composer.dag.operation import Operation
from composer.dag.tensor import TensorSpec
from composer.registry import Entry, ModuleEntry
from composer.spec.origin import Origin
from composer.spec.sites import BRANCH, STAGE
from composer.spec.spec import Spec

if TYPE_CHECKING:
    import networkx as nx


@dataclass(frozen=True)
class Bound:
    """A further input of a node that a rule inserts, by its path in the network: any node's output, or a scope's input.

    scope      path of the scope that holds it
    reference  the node there, `node.output`, or an input of the scope
    origin     where the rule writes it
    """

    scope: str
    reference: str
    origin: Origin


@dataclass(frozen=True)
class Node:
    """A step of a scope: an operation, an inner scope, or (content None) a node that passes its first input on.

    inputs   names of nodes or inputs of the scope, in order; `name.output` for one of several outputs
    output   the tensor that the node gives; for a scope with several outputs, a mapping
    rule     number of the attention rule that inserted the node, from 0; None for a node of the backbone
    tail     name of the node whose output now replaces this node's output, because rules, or adapters, are after it
    role     what an inserted node is to its rule: `used`, what the rule uses; `inside`, a node of a block that the
             rule uses; `helper`, a node that adapts, adds or blends; None for a node of the backbone
    place    of a node that a rule added: where it did; None for the backbone's own, and for what stands in for them
    bound    further inputs from anywhere in the network, until all rules have applied: then they follow `inputs`
    calls    name of the node of the same scope whose module it calls; None for a module of its own
    shares   child of its module, "" for all of it -> path of the node that owns what is called there
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
    role: Literal["used", "inside", "helper"] | None = None
    place: str | None = None
    bound: tuple[Bound, ...] = ()
    calls: str | None = None
    shares: Mapping[str, str] = field(default_factory=dict)

    @property
    def owner(self) -> str:
        """Path of the node whose module it calls: its own path, unless it shares all of it."""
        return self.shares.get("", self.path)

    @property
    def owns(self) -> bool:
        """Whether it has a module, parameter or function of its own, be it that a child of the module is shared."""
        return "" not in self.shares

    @property
    def borrows(self) -> bool:
        """Whether it calls a module that a scope around it holds for several nodes."""
        return not self.owns and self.calls is None and self.owner.rpartition(".")[2] != self.name

    @property
    def told_shares(self) -> Mapping[str, str]:
        """`shares` as a reader is told: not of each node in a block that is called again, only of the block."""
        around = {child: owner.rpartition(".")[0] for child, owner in self.shares.items()}
        return {
            child: owner
            for child, owner in self.shares.items()
            if not around[child] or self.path.startswith(f"{around[child]}.")
        }

    @property
    def op(self) -> str:
        """Name of the operation or block."""
        if self.content is None:
            return "pass"
        if isinstance(self.content, Scope):
            return self.content.block
        return ".".join([self.content.entry.name, *([self.content.part] if self.content.part else [])])

    @property
    def entry(self) -> Entry | None:
        """The registry's entry of its operation; None for a node without an operation."""
        return self.content.entry if isinstance(self.content, Operation) else None

    @property
    def kind(self) -> str | None:
        """The kind of its operation, as the registry says; None for a node without an operation."""
        return None if self.entry is None else self.entry.kind

    @property
    def replaces(self) -> str | None:
        """The kind of layer that a mechanism at this node stands in for; None for other nodes."""
        return self.entry.replaces if isinstance(self.entry, ModuleEntry) else None

    def leads_inside(self, rest: str) -> bool:
        """Whether what follows the node's name in a reference is a path into it, not one of its outputs."""
        own = () if isinstance(self.output, TensorSpec) else self.output
        inside = bool(rest) and isinstance(self.content, Scope) and rest not in own
        return inside and not self.names_only_output(rest)

    def names_only_output(self, rest: str) -> bool:
        """Whether this is the name of a scope's only output, and not of a node inside."""
        content = self.content
        return isinstance(content, Scope) and list(content.outputs) == [rest] and rest not in content.nodes

    @property
    def result(self) -> TensorSpec | None:
        """Its output, without tensors that it only passes outward; None if it has several."""
        if isinstance(self.output, TensorSpec):
            return self.output
        main = self.content.main_outputs if isinstance(self.content, Scope) else []
        return self.output[main[0]] if len(main) == 1 else None

    @property
    def reference(self) -> str:
        """How other nodes refer to its `result`."""
        if isinstance(self.output, TensorSpec):
            return self.name
        assert isinstance(self.content, Scope), "only scopes have several outputs"
        return f"{self.name}.{self.content.main_outputs[0]}"

    @property
    def tensor(self) -> TensorSpec:
        """The output of a node that has a single output."""
        assert self.result is not None, f"{self.path} has several outputs"
        return self.result


@dataclass(frozen=True)
class Scope:
    """An instance of a block (or a repeat, or the whole network): nodes in the order in which they run.

    exposed  names of outputs that the block itself does not have, but that a path from outside needs
    brought  names of inputs that the block itself does not have, but that a path from inside needs
    named    of a network: whether it returns a dict of outputs, even of a single output, instead of a tensor
    training names of the outputs of a network that only training has
    end      of a network: the node tagged `features`, also if the outputs leave it out; None without one
    attention  of a block that is used as a mechanism: the node that gives its attention values; None without one
    entry    the plugin's block that it is; None for a block of the spec
    leads    input -> name of the node whose output now replaces it, because rules put nodes before the scope
    plain    the scope as it was before any rule changed it; None if none did
    network  of a network inside another: its own spec, with the inputs that arrive
    words    of a block: its arguments and vars, with their values here
    held     nodes whose modules the scope owns without a call of its own: only nodes that share them call them
    """

    block: str
    path: str
    inputs: Mapping[str, TensorSpec]
    nodes: Mapping[str, Node] = field(repr=False)
    outputs: Mapping[str, str]
    exposed: frozenset[str] = frozenset()
    brought: frozenset[str] = frozenset()
    named: bool = False
    training: frozenset[str] = frozenset()
    end: str | None = None
    attention: str | None = None
    entry: Entry | None = None
    held: Mapping[str, Node] = field(default_factory=dict, repr=False)
    leads: Mapping[str, str] = field(default_factory=dict)
    plain: Scope | None = field(default=None, repr=False, compare=False)
    network: Spec | None = field(default=None, repr=False, compare=False)
    words: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def untouched(self) -> Scope:
        """The scope as it was before any rule changed it."""
        return self.plain or self

    @cached_property
    def has_one_branch(self) -> bool:
        """Whether exactly one of its nodes has the site `branch`."""
        return sum(BRANCH in node.sites for node in self.nodes.values()) == 1

    @property
    def main_outputs(self) -> list[str]:
        """Names of the outputs that its module returns: all but those passed outward."""
        own = [name for name in self.outputs if name not in self.exposed]
        return own or list(self.outputs)[:1]

    @property
    def outward(self) -> list[str]:
        """Names of the outputs that its module passes outward besides its result."""
        main = self.main_outputs
        return [name for name in self.outputs if name not in main]

    @property
    def gives_dict(self) -> bool:
        """Whether its module returns a dict name -> tensor instead of a tensor."""
        return self.named or len(self.main_outputs) > 1

    @cached_property
    def graph(self) -> nx.DiGraph[str]:
        """The scope as a frozen networkx.DiGraph: inputs and nodes by name, each node with its `node`."""
        import networkx as nx

        graph: nx.DiGraph[str] = nx.DiGraph()
        graph.add_nodes_from(self.inputs)
        graph.add_nodes_from((name, {"node": node}) for name, node in self.nodes.items())
        for name, node in self.nodes.items():
            graph.add_edges_from((reference.partition(".")[0], name) for reference in node.inputs)
        return nx.freeze(graph)

    def tensor(self, reference: str) -> TensorSpec:
        """The tensor of a reference: `node`, `node.output`, the path of a node inside, or an input."""
        name, _, rest = reference.partition(".")
        if name in self.inputs:
            return self.inputs[name]
        node = self.nodes[name]
        if node.leads_inside(rest):
            assert isinstance(node.content, Scope)
            return node.content.tensor(rest)
        return node.output if isinstance(node.output, TensorSpec) else node.output[rest]

    def end_of(self, path: str) -> TensorSpec:
        """The tensor of a path into nodes, with what stands behind the last of them."""
        name, _, rest = path.partition(".")
        node = self.nodes[name]
        if node.leads_inside(rest):
            assert isinstance(node.content, Scope)
            return node.content.end_of(rest)
        return self.tensor(".".join(filter(None, (node.tail or name, rest))))

    def owners(self) -> Iterator[Node]:
        """Every node that owns a module, parameter or function: all but those that call another node's."""
        for node in self.parts.values():
            if node.owns:
                yield node
                if isinstance(node.content, Scope):
                    yield from node.content.owners()

    @property
    def parts(self) -> Mapping[str, Node]:
        """Its nodes, and those that it only holds."""
        return {**self.nodes, **self.held} if self.held else self.nodes

    def walk(self) -> Iterator[Node]:
        """Every node, with those of inner scopes, in the order in which they run; a scope before its nodes.

        Nodes that a scope only holds come after its others.
        """
        for node in self.parts.values():
            yield node
            if isinstance(node.content, Scope):
                yield from node.content.walk()

    @cached_property
    def num_nodes(self) -> int:
        """Number of nodes, with those of inner scopes."""
        return len(self.nodes) + sum(one.num_nodes for one in self._scopes)

    @cached_property
    def sites(self) -> frozenset[str]:
        """The sites of its nodes, with those of inner scopes."""
        own = {site for node in self.nodes.values() for site in node.sites}
        return frozenset(own.union(*(one.sites for one in self._scopes)))

    @cached_property
    def strangers(self) -> frozenset[str]:
        """Paths of nodes inside that do not begin with the scope's own, since another module owns what they call."""
        start = f"{self.path}." if self.path else ""
        own = {node.path for node in self.nodes.values()}.union(*(one.strangers for one in self._scopes))
        return frozenset(path for path in own if not path.startswith(start))

    @cached_property
    def num_operations(self) -> int:
        """Number of operations, with those of inner scopes."""
        own = sum(isinstance(node.content, Operation) for node in self.nodes.values())
        return own + sum(one.num_operations for one in self._scopes)

    @cached_property
    def ends(self) -> Mapping[str, int]:
        """Path of each node, also of inner scopes -> number of the operation with which it ends, from 0.

        A node that passes its input on ends with the operation before it.
        """
        found: dict[str, int] = {}
        done = 0

        def count(scope: Scope) -> None:
            nonlocal done
            for node in scope.nodes.values():
                if isinstance(node.content, Scope):
                    count(node.content)
                done += isinstance(node.content, Operation)
                found[node.path] = max(0, done - 1)

        count(self)
        return found

    @cached_property
    def num_stages(self) -> int:
        """Number of nodes with site `stage`, with those of inner scopes; a further call of one is none.

        A network inside counts its own.
        """
        own = [node for node in self.nodes.values() if node.content is not None and node.calls is None]
        inner = [node.content for node in own if isinstance(node.content, Scope) and node.content.network is None]
        return sum(one.num_stages for one in inner) + sum(STAGE in node.sites for node in own)

    @property
    def is_recorded(self) -> bool:
        """Whether it is a recorded module of another library."""
        return False

    @cached_property
    def holds_recorded(self) -> bool:
        """Whether a recorded module of another library is inside."""
        return any(one.is_recorded or one.holds_recorded for one in self._scopes)

    @cached_property
    def _scopes(self) -> list[Scope]:
        return [node.content for node in self.nodes.values() if isinstance(node.content, Scope)]

    @cached_property
    def num_parameters(self) -> int:
        """Learnable numbers in the scope."""
        return sum(num_parameters(node) for node in self.parts.values())


def num_parameters(node: Node) -> int:
    """Learnable numbers in a node."""
    return 0 if node.content is None else node.content.num_parameters


def names_to(root: Scope, path: str) -> tuple[str, ...]:
    """The names of the nodes that lead to a path; steps that lead nowhere stay as they are.

    A node of a recorded list that is not called as a whole has several steps of its path in one name: `u.1` is `u_1`.
    """
    steps, found, scope = path.split("."), list[str](), root
    while steps:
        count = next((number for number in range(1, len(steps) + 1) if _is_at(scope, steps[:number])), 1)
        found.append("_".join(steps[:count]))
        steps = steps[count:]
        node = scope.nodes.get(found[-1])
        if node is None or not isinstance(node.content, Scope):
            return (*found, *steps)
        scope = node.content
    return tuple(found)


def _is_at(scope: Scope, steps: list[str]) -> bool:
    node = scope.nodes.get("_".join(steps))
    return node is not None and (len(steps) == 1 or f".{node.path}".endswith(f".{'.'.join(steps)}"))
