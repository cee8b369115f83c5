"""A scope while its nodes are made, and what the references of its nodes stand for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from composer.dag.nodes.sources import Sources
from composer.dag.nodes.step import Body, Stop
from composer.dag.nodes.unfinished import Missing, Unfinished, circle
from composer.dag.order import circle_of, node_of
from composer.dag.scope import Node, Scope
from composer.errors import Diagnostic


@dataclass(frozen=True)
class Inlined:
    """An inline repeat, which is no node itself: its copies, and the node that its name means."""

    last: str
    copies: tuple[str, ...]


@dataclass
class Making:
    """A scope whose nodes are being made.

    failed   the nodes that cannot be made
    missing  those nodes; in place of an inline repeat, the copy that cannot be made
    """

    body: Body
    sources: Mapping[str, Sources]
    scope: Scope
    nodes: dict[str, Node]
    outputs: dict[str, str]
    inlined: dict[str, Inlined] = field(default_factory=dict)
    failed: set[str] = field(default_factory=set)
    missing: dict[str, Missing] = field(default_factory=dict)

    @classmethod
    def of(cls, body: Body, sources: Mapping[str, Sources]) -> Making:
        """The scope of a body, without nodes but those that are begun."""
        nodes: dict[str, Node] = {}
        outputs = dict(body.outputs)
        scope = Scope(body.block, body.path, body.inputs, nodes, outputs)
        if body.begun is not None:
            nodes.update(body.begun.nodes)
            scope = replace(body.begun, nodes=nodes, outputs=outputs)
        return cls(body, sources, scope, nodes, outputs)

    @cached_property
    def written(self) -> Mapping[str, tuple[str, ...]]:
        """Node -> its references as written."""
        return {name: one.references for name, one in self.sources.items()}

    @cached_property
    def needed(self) -> Mapping[str, tuple[str, ...]]:
        """Node -> what must be made before it: its references, and the node whose module it calls."""
        shares = {name: [spec.share] if isinstance(spec.share, str) else [] for name, spec in self.body.specs.items()}
        return {name: (*references, *shares[name]) for name, references in self.written.items()}

    def shared(self, name: str) -> str:
        """The node whose module a node calls that writes `share: NAME`: of an inline repeat, the last copy."""
        return self.inlined[name].last if name in self.inlined else name

    @property
    def unfinished(self) -> Unfinished:
        """The scope so far; it changes with the scope."""
        return Unfinished(self.scope, self.missing)

    def path_of(self, name: str) -> str:
        """The path of a node."""
        return f"{self.body.path}.{name}" if self.body.path else name

    def written_out(self, reference: str) -> list[str] | None:
        """The references to nodes that a written reference stands for; None for `name.*` of what holds no nodes."""
        name, _, rest = reference.partition(".")
        node = self.nodes.get(name)
        inside = node.content.nodes if node is not None and isinstance(node.content, Scope) else {}
        if rest == "*" or rest.startswith("*."):
            if name in self.inlined:
                return [f"{one}{rest[1:]}" if rest[1:] else self._end(one) for one in self.inlined[name].copies]
            written = [child for child, one in inside.items() if not _adapts(one)]
            # A repeat of no copies holds nothing either.
            spec = self.body.specs.get(name) if node is not None else None
            repeats = spec is not None and spec.repeat is not None
            return [f"{name}.{child}{rest[1:]}" for child in written] if inside or repeats else None
        if name in self.inlined:
            last = self.inlined[name].last
            return [f"{last}.{rest}" if rest else self._end(last)]
        if node is not None and node.names_only_output(rest):
            return [name]
        return [reference if rest else self._end(name)]

    def _end(self, name: str) -> str:
        """The node that gives what a name means: the node itself, or the last that adapts its mechanism."""
        return (self.nodes[name].tail if name in self.nodes else None) or name

    def lacks_inputs(self, name: str) -> None:
        """Note a node that cannot be made because another cannot."""
        self.failed.add(name)
        self.missing[name] = Missing(self.body.specs[name], self._known(name), failed=False)

    def miss(self, name: str, stop: Stop) -> None:
        """Note a node, or a copy of an inline repeat, that cannot be made."""
        self.failed.add(name)
        own = Missing(self.body.specs[name], self._known(name), True, stop.diagnostics)
        self.missing |= stop.lacking or {name: own}
        self.inlined[name] = Inlined(list(self.missing)[-1], ())

    def _known(self, name: str) -> tuple[str, ...]:
        return tuple(one for text in self.written[name] for one in self.written_out(text) or ())

    @property
    def circle(self) -> Diagnostic | None:
        """The problem if the nodes feed one another in a circle; else None."""
        cycle = circle_of(self.needed)
        if not cycle:
            return None
        first, last = cycle[0], cycle[-1]
        text = f"nodes feed one another in a circle: {' -> '.join([*cycle, first])}"
        label, help = f"takes `{last}`, which depends on it", list[str]()
        if last not in map(node_of, self.written[first]):
            label = f"calls the module of `{last}`, which runs later"
            help = [f"write the operation at `{first}`, and `share: {first}` at `{last}`"]
        return self.body.origin_of(first).problem("cycle", text, label, tuple(help), key=True, path=self.body.path)

    def in_a_circle(self, problem: Diagnostic) -> Unfinished:
        """The scope without any node, because they feed one another; the problem is reported at the first of them."""
        return circle(self.scope, self.body.specs, self.written, problem, circle_of(self.needed)[0])


def _adapts(node: Node) -> bool:
    """Whether a node adapts the layout for the mechanism of another node, at whose `op` it is written."""
    return node.origin.path[-1:] == ("op",) and node.origin.path[-2:-1] != ("nodes",)
