"""A scope while a rule edits it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from composer.dag.scope import Node, Scope, TensorSpec


class Draft:
    """The nodes of a scope, open for changes; `scope()` closes it. An edit costs the same in a scope of any size."""

    def __init__(self, original: Scope, nodes: Mapping[str, Node]) -> None:
        self.original = original
        self.nodes = dict(nodes)
        self.outputs = dict(original.outputs)
        self.open = replace(original, nodes=self.nodes)
        # Name -> the number below which all numbered names are taken.
        self.numbers: dict[str, int] = {}
        # Node -> the nodes that take its output or have it as their tail.
        self.users: defaultdict[str, dict[str, None]] = defaultdict(dict)
        # Node of the original scope -> names of the nodes right before, instead of and right after it.
        self.before: defaultdict[str, list[str]] = defaultdict(list)
        self.instead: dict[str, list[str]] = {}
        self.after: defaultdict[str, list[str]] = defaultdict(list)
        for node in nodes.values():
            self._note_uses(node)

    def scope(self) -> Scope:
        """The scope as it is now, with its nodes in the order in which they run."""
        moved = self.before.keys() | self.instead.keys() | self.after.keys()
        order = (one for name in self.original.nodes for one in (self._at(name) if name in moved else (name,)))
        nodes = {name: self.nodes[name] for name in order if name in self.nodes}
        return replace(self.original, nodes=nodes, outputs=self.outputs)

    def _at(self, name: str) -> Iterable[str]:
        return [*self.before[name], *self.instead.get(name, [name]), *self.after[name]]

    def tensor(self, reference: str, made: Sequence[Node] = ()) -> TensorSpec:
        """The tensor of a reference; `made` are new nodes that are not in the draft yet."""
        for node in made:
            if node.name == reference:
                return node.tensor
        return self.open.tensor(reference)

    def fresh(self, name: str) -> str:
        """The name; or, if it is taken, `name_2`, `name_3` …"""
        number = self.numbers.get(name, 1)
        while (candidate := name if number == 1 else f"{name}_{number}") in self.nodes or candidate in self.open.inputs:
            number += 1
        self.numbers[name] = number
        return candidate

    def consumers(self, name: str) -> list[str]:
        """The nodes that take this node's output."""
        return [user for user in self.users[name] if name in self.nodes[user].inputs]

    def norm_and_activation(self, name: str) -> list[str]:
        """The norm that is the node's only consumer, then the activation that is the norm's only consumer."""
        found: list[str] = []
        for kind in ("norm", "activation"):
            end = found[-1] if found else name
            following = self.consumers(end)
            if len(following) != 1 or end in self.outputs.values():
                break
            entry = self.nodes[following[0]].entry
            if entry is not None and entry.kind == kind:
                found.append(following[0])
        return found

    def put_after(self, name: str, made: Sequence[Node]) -> None:
        """Put new nodes after a node and after what earlier rules put there. Its consumers take the last new node."""
        tail = self.nodes[name].tail or name
        self._redirect(tail, made[-1].name)
        self._change(replace(self.nodes[name], tail=made[-1].name))
        self._add(made)
        self.after[tail][:0] = [node.name for node in made]

    def put_before(self, name: str, made: Sequence[Node], number: int = 0) -> None:
        """Put new nodes before a node. Its input of this number becomes the last new node."""
        host = self.nodes[name]
        inputs = list(host.inputs)
        inputs[number] = made[-1].name
        self._change(replace(host, inputs=tuple(inputs)))
        self._add(made)
        self.before[name] += [node.name for node in made]

    def put_in_place(self, name: str, swallowed: Sequence[str], made: Sequence[Node], sites: tuple[str, ...]) -> None:
        """Replace a node, and the `swallowed` nodes after it, by new nodes. One of them gets its name and its sites."""
        end = swallowed[-1] if swallowed else name
        # Nodes that earlier rules put after the host stay after its replacement.
        tail = self.nodes[end].tail or made[-1].name
        self._redirect(end, made[-1].name)
        for one in (name, *swallowed):
            self._forget(one)
        self.numbers.clear()
        own = [_with_tail(replace(node, sites=sites), tail) if node.name == name else node for node in made]
        self._add(own)
        self.instead[name] = [node.name for node in own]

    def drop(self, name: str, source: str) -> None:
        """Remove a node. Its consumers take `source` instead."""
        self._redirect(name, source)
        self._forget(name)
        self.numbers.clear()

    def _redirect(self, old: str, new: str) -> None:
        """Replace `old` by `new` in the inputs and tails of all nodes, and in the outputs."""
        for user in list(self.users[old]):
            node = self.nodes[user]
            inputs = tuple(new if reference == old else reference for reference in node.inputs)
            self._change(_with_tail(replace(node, inputs=inputs), new if node.tail == old else node.tail))
        self.outputs = {key: new if reference == old else reference for key, reference in self.outputs.items()}

    def _add(self, made: Iterable[Node]) -> None:
        for node in made:
            self.nodes[node.name] = node
            self._note_uses(node)

    def _change(self, node: Node) -> None:
        self._forget(node.name)
        self._add([node])

    def _forget(self, name: str) -> None:
        for reference in _uses(self.nodes.pop(name)):
            self.users[reference].pop(name, None)

    def _note_uses(self, node: Node) -> None:
        for reference in _uses(node):
            self.users[reference][node.name] = None


def _with_tail(node: Node, tail: str | None) -> Node:
    return replace(node, tail=None if tail == node.name else tail)


def _uses(node: Node) -> Iterable[str]:
    return (*node.inputs, node.tail) if node.tail else node.inputs
