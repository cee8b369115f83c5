"""A scope while rules edit it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from composer.dag.scope import Node, Operation, Scope, TensorSpec


class Draft:
    """A scope's nodes, open for changes; `scope()` closes it. Names keep the order in which nodes run."""

    def __init__(self, original: Scope, nodes: Mapping[str, Node]) -> None:
        self.original = original
        self.nodes = dict(nodes)
        self.outputs = dict(original.outputs)

    def scope(self) -> Scope:
        """The scope as it is now."""
        return replace(self.original, nodes=self.nodes, outputs=self.outputs)

    def __contains__(self, reference: str) -> bool:
        return reference.partition(".")[0] in {**self.nodes, **self.original.inputs}

    def tensor(self, reference: str, made: Sequence[Node] = ()) -> TensorSpec:
        """The tensor a reference stands for, among the nodes being made too."""
        for node in made:
            if node.name == reference:
                return node.tensor
        return self.scope().tensor(reference)

    def fresh(self, name: str) -> str:
        """The name, or `name_2`, `name_3` … where it is taken."""
        candidate, number = name, 1
        while candidate in self:
            number += 1
            candidate = f"{name}_{number}"
        return candidate

    def consumers(self, name: str) -> list[str]:
        """Nodes that take what this one gives."""
        return [one.name for one in self.nodes.values() if name in one.inputs]

    def norm_and_activation(self, name: str) -> list[str]:
        """The norm that is all that follows, and the activation that is all that follows that."""
        found: list[str] = []
        for kind in ("norm", "activation"):
            end = found[-1] if found else name
            following = self.consumers(end)
            if len(following) != 1 or end in self.outputs.values():
                break
            content = self.nodes[following[0]].content
            if isinstance(content, Operation) and content.entry.kind == kind:
                found.append(following[0])
        return found

    def put_after(self, name: str, made: Sequence[Node]) -> None:
        """New nodes behind a node and behind what earlier rules put there; its consumers take the last of them."""
        tail = self.nodes[name].tail or name
        self._redirect(tail, made[-1].name)
        self._insert(made, after=tail)
        self.nodes[name] = replace(self.nodes[name], tail=made[-1].name)

    def put_before(self, name: str, made: Sequence[Node]) -> None:
        """New nodes in front of a node; its first input is the last of them."""
        host = self.nodes[name]
        self.nodes[name] = replace(host, inputs=(made[-1].name, *host.inputs[1:]))
        self._insert(made, before=name)

    def put_in_place(self, name: str, swallowed: Sequence[str], made: Sequence[Node], sites: tuple[str, ...]) -> None:
        """New nodes instead of a node and of those swallowed with it; one of them has its name, and gets the sites."""
        end = swallowed[-1] if swallowed else name
        tail = self.nodes[end].tail
        # What earlier rules put behind the host stays behind its replacement.
        own = [
            replace(node, sites=sites, tail=tail or _tail(node, made)) if node.name == name else node for node in made
        ]
        self._redirect(end, made[-1].name)
        before = list(self.nodes)
        position = before.index(name)
        kept = {one: node for one, node in self.nodes.items() if one not in {name, *swallowed}}
        order = [one for one in before[:position] if one in kept]
        rest = [one for one in before[position:] if one in kept]
        fresh = {node.name: node for node in own}
        self.nodes = {**{one: kept[one] for one in order}, **fresh, **{one: kept[one] for one in rest}}

    def drop(self, name: str, source: str) -> None:
        """Without the node: its consumers take its source."""
        self._redirect(name, source)
        del self.nodes[name]

    def _redirect(self, old: str, new: str) -> None:
        for one, node in self.nodes.items():
            if old in node.inputs:
                self.nodes[one] = replace(node, inputs=tuple(new if ref == old else ref for ref in node.inputs))
        self.outputs = {key: new if ref == old else ref for key, ref in self.outputs.items()}

    def _insert(self, made: Sequence[Node], after: str = "", before: str = "") -> None:
        result: dict[str, Node] = {}
        for name, node in self.nodes.items():
            if name == before:
                result.update((one.name, one) for one in made)
            result[name] = node
            if name == after:
                result.update((one.name, one) for one in made)
        self.nodes = result


def _tail(node: Node, made: Sequence[Node]) -> str | None:
    return made[-1].name if made[-1].name != node.name else None
