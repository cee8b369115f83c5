"""A scope while a rule edits it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from composer.dag.names import RESERVED
from composer.dag.rules.spot import Spot
from composer.dag.scope import Node, Scope
from composer.dag.tensor import TensorSpec


class Draft:
    """The nodes of a scope, open for changes; `scope()` closes it. An edit costs the same in a scope of any size."""

    def __init__(self, original: Scope, nodes: Mapping[str, Node]) -> None:
        self.original = original
        self.nodes = dict(nodes)
        self.outputs = dict(original.outputs)
        self.attention = original.attention
        self.held = original.held
        # Input of the scope -> the node that now stands for it.
        self.leads = dict(original.leads)
        self.open = replace(original, nodes=self.nodes)
        # Node -> the nodes that take its output or have it as their tail.
        self.users: defaultdict[str, dict[str, None]] = defaultdict(dict)
        # Node of the original scope -> names of the nodes right before, instead of and right after it.
        self.before: defaultdict[str, list[str]] = defaultdict(list)
        self.instead: dict[str, list[str]] = {}
        self.after: defaultdict[str, list[str]] = defaultdict(list)
        # Names of the nodes before and after all those of the original scope.
        self.first: list[str] = []
        self.last: list[str] = []
        for node in nodes.values():
            self._note_uses(node)

    def scope(self) -> Scope:
        """The scope as it is now, with its nodes in the order in which they run."""
        moved = self.before.keys() | self.instead.keys() | self.after.keys()
        order = (one for name in self.original.nodes for one in (self._at(name) if name in moved else (name,)))
        nodes = {name: self.nodes[name] for name in (*self.first, *order, *self.last) if name in self.nodes}
        plain = self.original.untouched
        changed = replace(self.original, nodes=nodes, outputs=self.outputs, attention=self.attention)
        return replace(changed, leads=self.leads, plain=plain)

    def _at(self, name: str) -> Iterable[str]:
        return [*self.before[name], *self.instead.get(name, [name]), *self.after[name]]

    def tensor(self, reference: str, made: Sequence[Node] = ()) -> TensorSpec:
        """The tensor of a reference; `made` are new nodes that are not in the draft yet."""
        for node in made:
            if node.name == reference:
                return node.tensor
        return self.open.tensor(reference)

    def start(self, spot: Spot, number: int | None = None) -> str:
        """The reference of what arrives at the host: at the spot's input, or at the input of this number."""
        number = spot.input if number is None else number
        if not spot.inside:
            return spot.host.inputs[number]
        name = list(self.original.inputs)[number]
        return self.leads.get(name, name)

    def end(self, spot: Spot) -> str:
        """The reference of what a spot's host gives, with what rules put after it."""
        if not spot.inside:
            return spot.host.tail or spot.host.name
        return self.outputs[spot.output] if spot.output else next(iter(self.outputs.values()))

    def holder(self, name: str, place: str) -> Node | None:
        """The node of another place that rules gave this name."""
        node = self.nodes.get(name)
        return node if node is not None and node.place not in (None, place) else None

    def is_taken(self, name: str) -> bool:
        """Whether a new node cannot have this name; the names of the backbone's own nodes stay taken without them."""
        plain = self.original.untouched
        return name in RESERVED or any(name in one for one in (self.nodes, self.held, plain.nodes, plain.inputs))

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

    def put_after(self, spot: Spot, made: Sequence[Node]) -> None:
        """Put new nodes after a host and after what earlier rules put there. Its consumers take the last new node."""
        end, new = self.end(spot), made[-1].name
        if spot.inside:
            changed = [spot.output] if spot.output else [key for key, one in self.outputs.items() if one == end]
            self.outputs |= dict.fromkeys(changed, new)
            self._add(made)
            self.last += [node.name for node in made]
            return
        self._redirect(end, new)
        self._change(replace(self.nodes[spot.host.name], tail=new))
        self._add(made)
        self.after[end][:0] = [node.name for node in made]

    def put_before(self, spot: Spot, made: Sequence[Node]) -> None:
        """Put new nodes before a host. Its input, or each use of it in a scope, becomes the last new node."""
        names, new = [node.name for node in made], made[-1].name
        if spot.inside:
            lead = self.start(spot)
            (self.after[lead] if lead in self.nodes else self.first)[:0] = names
            self._redirect(lead, new, tails=False)
            self.leads[list(self.original.inputs)[spot.input]] = new
            self._add(made)
            return
        host = self.nodes[spot.host.name]
        inputs = list(host.inputs)
        inputs[spot.input] = new
        self._change(replace(host, inputs=tuple(inputs)))
        self._add(made)
        self.before[host.name] += names

    def put_in_place(self, name: str, swallowed: Sequence[str], made: Sequence[Node], sites: tuple[str, ...]) -> None:
        """Replace a node, and the `swallowed` nodes after it, by new nodes. One of them gets its name and its sites."""
        end = swallowed[-1] if swallowed else name
        # Nodes that earlier rules put after the host stay after its replacement.
        tail = self.nodes[end].tail or made[-1].name
        self._redirect(end, made[-1].name)
        for one in (name, *swallowed):
            self._forget(one)
        own = [_with_tail(replace(one, sites=sites, place=None), tail) if one.name == name else one for one in made]
        self._add(own)
        self.instead[name] = [node.name for node in own]

    def drop(self, name: str, source: str) -> None:
        """Remove a node. Its consumers take `source` instead."""
        self._redirect(name, source)
        self._forget(name)

    def _redirect(self, old: str, new: str, *, tails: bool = True) -> None:
        """Replace `old` by `new` in the inputs and tails of all nodes, in the outputs, the attention and the leads."""
        for user in list(self.users[old]):
            node = self.nodes[user]
            inputs = tuple(new if reference == old else reference for reference in node.inputs)
            tail = new if tails and node.tail == old else node.tail
            self._change(_with_tail(replace(node, inputs=inputs), tail))
        self.leads = {name: new if lead == old else lead for name, lead in self.leads.items()}
        self.outputs = {key: new if reference == old else reference for key, reference in self.outputs.items()}
        self.attention = new if self.attention == old else self.attention

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
