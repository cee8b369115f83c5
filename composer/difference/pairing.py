"""Pairs the nodes of two networks: by path first, then by content and neighbourhood."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Container, Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby, islice, product

from composer.dag.operation import Operation
from composer.dag.scope import Node, Scope
from composer.difference.change import NodePath
from composer.difference.side import Side, children, partners

MAX_TRIED = 4


@dataclass
class Pairing:
    """Pairs of paths, before to after and back. The networks' inputs are included by name."""

    before: Side
    after: Side
    pairs: dict[NodePath, NodePath] = field(default_factory=dict)
    back: dict[NodePath, NodePath] = field(default_factory=dict)

    def pair(self, one: NodePath, other: NodePath) -> None:
        """Record that two nodes are the same."""
        self.pairs[one] = other
        self.back[other] = one

    def moved(self, one: NodePath) -> bool:
        """Whether a paired node has another name or is in another scope; False if only its scope moved."""
        (outer, _, name), (its_outer, _, its_name) = one.rpartition("."), self.pairs[one].rpartition(".")
        return name != its_name or self.pairs.get(outer, outer) != its_outer

    def fits(self, one: NodePath, other: NodePath) -> bool:
        """Whether all pairs of nodes inside `one` and `other` lie within these two."""
        ours = (self.pairs.get(path, other) for path in self.before.below(one))
        theirs = (self.back.get(path, one) for path in self.after.below(other))
        return all(_inside(path, other) for path in ours) and all(_inside(path, one) for path in theirs)


def _inside(path: NodePath, scope: NodePath) -> bool:
    return path == scope or path.startswith(f"{scope}.")


def pair(before: Side, after: Side) -> Pairing:
    """The pairing of two networks. Takes time linear in their nodes per level of scopes, except for sorting."""
    found = Pairing(before, after)
    for one, other in partners(before.graph.root.inputs, after.graph.root.inputs):
        if one is not None and other is not None:
            found.pair(one, other)
    _pair_inside(found, before.graph.root, after.graph.root)
    _search(found, _Alike(_is_scope), _KEYS)
    _search(found, _SameBlock(_is_scope), _KEYS)
    _search(found, _Alike(_has_parameters), _KEYS)
    # Only the inputs tell which relu is which, since there are many.
    _search(found, _Alike(_is_operation), _KEYS[:1])
    return found


def _pair_inside(found: Pairing, before: Scope, after: Scope) -> None:
    """Pair nodes of the same name in two scopes, and in their inner scopes."""
    for name, one in before.parts.items():
        other = after.parts.get(name)
        if other is None or one.path in found.pairs or other.path in found.back:
            continue
        if isinstance(one.content, Scope) and isinstance(other.content, Scope):
            found.pair(one.path, other.path)
            _pair_inside(found, one.content, other.content)
        elif isinstance(one.content, Operation) and isinstance(other.content, Operation):
            found.pair(one.path, other.path)


def _is_scope(node: Node) -> bool:
    return isinstance(node.content, Scope)


def _is_operation(node: Node) -> bool:
    return isinstance(node.content, Operation)


def _has_parameters(node: Node) -> bool:
    return isinstance(node.content, Operation) and node.content.num_parameters > 0


@dataclass(frozen=True)
class _Alike:
    """Nodes that are alike are the same, with all nodes inside."""

    wanted: Callable[[Node], bool]

    def kind(self, side: Side, path: NodePath) -> Hashable:
        return side.alike[path]

    def accepts(self, found: Pairing, one: NodePath, other: NodePath) -> bool:
        return found.fits(one, other)

    def join(self, found: Pairing, one: NodePath, other: NodePath) -> None:
        for inner, its_pair in zip(found.before.below(one), found.after.below(other), strict=True):
            found.pair(inner, its_pair)


@dataclass(frozen=True)
class _SameBlock:
    """Scopes of the same block, on the same shapes, with mostly the same names, are the same."""

    wanted: Callable[[Node], bool]

    def kind(self, side: Side, path: NodePath) -> Hashable:
        scope = _content(side, path)
        return scope.block, tuple(scope.inputs.values())

    def accepts(self, found: Pairing, one: NodePath, other: NodePath) -> bool:
        names, others = (
            {child.name for child in children(side.nodes[path])}
            for side, path in ((found.before, one), (found.after, other))
        )
        return 2 * len(names & others) > min(len(names), len(others)) and found.fits(one, other)

    def join(self, found: Pairing, one: NodePath, other: NodePath) -> None:
        found.pair(one, other)
        _pair_inside(found, _content(found.before, one), _content(found.after, other))


def _content(side: Side, path: NodePath) -> Scope:
    content = side.nodes[path].content
    assert isinstance(content, Scope)
    return content


Paired = Callable[[NodePath], NodePath | None]
Key = Callable[[Side, NodePath, Paired], Hashable | None]


def _by_neighbours(side: Side, path: NodePath, paired: Paired) -> Hashable | None:
    sources = tuple(paired(source) for source in side.sources[path])
    return sources if sources and None not in sources else None


def _by_name(side: Side, path: NodePath, paired: Paired) -> Hashable | None:
    return side.nodes[path].name


def _by_order(side: Side, path: NodePath, paired: Paired) -> Hashable | None:
    return True


_KEYS: Sequence[Key] = (_by_neighbours, _by_name, _by_order)


def _search(found: Pairing, rule: _Alike | _SameBlock, keys: Sequence[Key]) -> None:
    """Pair nodes that are left and that the rule accepts: the largest first, by the first key that fits."""
    index: defaultdict[Hashable, deque[NodePath]] = defaultdict(deque)
    for path in _left(found.after, found.back, rule):
        for key_of in keys:
            index[rule.kind(found.after, path), key_of, key_of(found.after, path, lambda source: source)].append(path)
    size = found.before.size.__getitem__
    left = sorted(_left(found.before, found.pairs, rule), key=size, reverse=True)
    for _, alike_in_size in groupby(left, key=size):
        group = list(alike_in_size)
        for key_of, one in product(keys, group):
            key = key_of(found.before, one, found.pairs.get)
            if key is not None and one not in found.pairs:
                _pair_one(found, rule, one, index[rule.kind(found.before, one), key_of, key])


def _pair_one(found: Pairing, rule: _Alike | _SameBlock, one: NodePath, candidates: deque[NodePath]) -> None:
    while candidates and candidates[0] in found.back:
        candidates.popleft()
    for other in islice(candidates, MAX_TRIED):
        if other not in found.back and rule.accepts(found, one, other):
            rule.join(found, one, other)
            return


def _left(side: Side, paired: Container[NodePath], rule: _Alike | _SameBlock) -> Iterator[NodePath]:
    return (path for path, node in side.nodes.items() if path not in paired and rule.wanted(node))
