"""The residual adds of a recorded scope: which operand is the branch, and which the shortcut."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from composer.dag.host import HostOperation, HostScope
from composer.dag.scope import Node, Scope
from composer.hosts.recording.entries import HostEntry
from composer.registry import Entry

_PASSING_CLASSES = re.compile(r"(Identity|Dropout\w*|\w*DropPath|DropBlock\w*|StochasticDepth)$")
_MOVING_CLASSES = frozenset({"Permute", "Flatten"})
_PASSING_LAYERS = frozenset({"identity", "dropout", "drop_path"})
# Functions that hand on all the numbers that they get.
_MOVING = frozenset(
    {"reshape", "view", "flatten", "unflatten", "permute", "transpose", "contiguous", "squeeze", "unsqueeze", "movedim"}
)
_SHORT = re.compile(r"shortcut|downsample|skip|residual|identity", re.IGNORECASE)


@dataclass(frozen=True)
class Residual:
    """An add of a scope, by the names of its nodes: its own, and those that give its two operands.

    `shortcut` may be an input of the scope. `beside` says whether the branch is made of something else, so that the
    shortcut is a way of its own, such as a projection.
    """

    add: str
    branch: str
    shortcut: str
    beside: bool
    start: str


# From one tensor to another: layers on the shortest way, layers on the longest, and steps on the longest.
Way = tuple[int, int, int]


def passes(node: Node) -> bool:
    """Whether a node hands its input on in evaluation: an identity, dropout, drop path, or a scope of such alone."""
    content = node.content
    if isinstance(content, Scope):
        return all(passes(one) for one in content.nodes.values())
    entry = node.entry
    if isinstance(entry, HostEntry):
        return bool(_PASSING_CLASSES.match(entry.name))
    return entry is None or entry.name in _PASSING_LAYERS


def is_function(node: Node) -> bool:
    """Whether a node is a call of a function, not of a module."""
    content = node.content
    return isinstance(content, HostOperation) and content.call is not None and content.call.function


def only_moves(node: Node) -> bool:
    """Whether a node gives the same numbers as it gets, be it in another order or form."""
    return passes(node) or node.op in (_MOVING if is_function(node) else _MOVING_CLASSES)


def name_of(reference: str) -> str:
    """The node or input of a reference."""
    return reference.partition(".")[0]


def back(scope: Scope, reference: str) -> str:
    """The node or input that gives a tensor, behind nodes that only move it."""
    name = name_of(reference)
    while name in scope.nodes and only_moves(scope.nodes[name]) and scope.nodes[name].inputs:
        name = name_of(scope.nodes[name].inputs[0])
    return name


@dataclass
class Residuals:
    """Finds residual adds, and remembers what it found; for the scopes of one recording."""

    weights: dict[int, int] = field(default_factory=dict)
    adds: dict[int, Sequence[Residual]] = field(default_factory=dict)

    def weighs(self, node: Node) -> int:
        """How many convolutions, linear layers, attentions and the like a node holds."""
        content = node.content
        if id(content) not in self.weights:
            if isinstance(content, HostScope):
                self.weights[id(content)] = sum(map(self.weighs, content.nodes.values()))
            else:
                self.weights[id(content)] = _num_layers(node.entry)
        return self.weights[id(content)]

    def of(self, scope: HostScope) -> Sequence[Residual]:
        """The residual adds of a scope's own nodes, in running order.

        Both operands come from one tensor, and the branch is the one with more layers, or more steps, on its way from
        there; or one is an input of the scope. Adds beside the main way, such as those of a part of the channels, are
        none.
        """
        if id(scope) not in self.adds:
            self.adds[id(scope)] = list(self._search(scope))
        return self.adds[id(scope)]

    def _search(self, scope: HostScope) -> Iterator[Residual]:
        adds = [node for node in scope.nodes.values() if node.op == "add" and len(node.inputs) == 2]
        ways = self.ways(scope) if adds else {}
        found = {add.name: one for add in adds if (one := _residual(scope, add, ways)) is not None}
        return (found[name] for name in self._on_the_way(scope, found))

    def ways(self, scope: HostScope) -> dict[str, dict[str, Way]]:
        """Node or input -> what it is made of -> the way from there."""
        found: dict[str, dict[str, Way]] = {name: {name: (0, 0, 0)} for name in scope.inputs}
        for name, node in scope.nodes.items():
            own, steps = self.weighs(node), int(not only_moves(node))
            ways: dict[str, Way] = {}
            for given in dict.fromkeys(map(name_of, node.inputs)):
                for start, (least, most, number) in found[given].items():
                    before = ways.get(start, (least + own, 0, 0))
                    ways[start] = (
                        min(before[0], least + own),
                        max(before[1], most + own),
                        max(before[2], number + steps),
                    )
            # A parameter, which has no inputs, is no beginning of a branch.
            found[name] = ways | {name: (0, 0, 0)} if node.inputs else {}
        return found

    def _on_the_way(self, scope: HostScope, found: Mapping[str, Residual]) -> list[str]:
        """The adds that every way with layers from their start to an output goes through, and the adds before them."""
        kept = {
            name
            for name, one in found.items()
            if any(not self._avoids(scope, one, end) for end in scope.outputs.values())
        }
        for name in reversed(list(found)):
            if name in kept:
                kept.add(back(scope, found[name].shortcut))
        return [name for name in found if name in kept]

    def _avoids(self, scope: HostScope, residual: Residual, output: str) -> bool:
        """Whether a way with layers leads from the start of a residual, or an input, to an output around its add."""
        todo, done = [(name_of(output), False)], set[tuple[str, bool]]()
        while todo:
            name, layered = one = todo.pop()
            if layered and (name == residual.start if residual.start else name in scope.inputs):
                return True
            if name in scope.nodes and name not in (residual.add, residual.start) and one not in done:
                done.add(one)
                node = scope.nodes[name]
                deeper = layered or self.weighs(node) > 0
                todo.extend((name_of(given), deeper) for given in node.inputs)
        return False


def _residual(scope: Scope, add: Node, ways: Mapping[str, Mapping[str, Way]]) -> Residual | None:
    """What the operands of an add are; None if neither is a shortcut."""
    one, other = map(name_of, add.inputs)
    if not ways[one] or not ways[other]:
        return None
    common = ways[one].keys() & ways[other].keys()
    start = next((name for name in reversed([*scope.inputs, *scope.nodes]) if name in common), "")
    if start:
        first, second = ways[one][start], ways[other][start]
        if first[:2] == second[:2] and any(map(_SHORT.search, (one, other))):
            first, second = ((int(not _SHORT.search(name)), 0, 0) for name in (one, other))
    else:
        # A shortcut that the caller makes is an input of its own.
        first, second = ((int(back(scope, name) not in scope.inputs), 0, 0) for name in (one, other))
    if first == second:
        return None
    branch, shortcut = (one, other) if first > second else (other, one)
    return Residual(add.name, branch, shortcut, shortcut not in ways[branch], start)


def _num_layers(entry: Entry | None) -> int:
    """Its parameters with two axes longer than 1: a scale per channel has one."""
    if not isinstance(entry, HostEntry):
        return int(entry is not None and entry.kind in ("conv", "linear"))
    return sum(sum(size > 1 for size in one.shape) > 1 for one in entry.made.parameters())
