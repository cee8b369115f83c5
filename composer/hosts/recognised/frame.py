"""Around blocks: the stem, the stages, the end of the features and the head."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from composer.dag.host import HostScope
from composer.dag.scope import Node, Scope
from composer.dag.tensor import TensorSpec
from composer.hosts.recognised.blocks import masked
from composer.hosts.recognised.residual import Residuals, is_function, name_of, only_moves, passes

_EMBEDDING = re.compile(r"patch_?embed|PatchEmbed", re.IGNORECASE)


def stem_of(root: HostScope, residuals: Residuals, blocks: Sequence[Node]) -> list[Node]:
    """The first layer before the first block; if it is part of a patch embedding, that."""
    firsts = {block.path for block in blocks}
    around: list[Node] = []

    def search(scope: Scope) -> Node | None:
        for node in scope.nodes.values():
            if node.path in firsts:
                return node
            if not residuals.weighs(node):
                continue
            if not isinstance(node.content, Scope):
                return node
            around.append(node)
            if (found := search(node.content)) is not None:
                return found
            around.pop()
        return None

    found = search(root)
    if found is None or found.path in firsts:
        return []
    named = [node for node in around if _EMBEDDING.search(f"{node.name} {node.op}")]
    return [named[0] if named else found]


def positions(tensor: TensorSpec | None) -> int | None:
    """Pixels or tokens of a batch, also of one that is cut into windows; None if its channels are not known."""
    if tensor is None or not tensor.channels:
        return None
    return math.prod(tensor.shape) // tensor.channels


def stages_of(root: HostScope, blocks: Sequence[Node]) -> tuple[list[Node], str]:
    """The outermost modules, at paths that differ in numbers alone, whose blocks have one scale; and why.

    Without such modules, the last block of each scale, if blocks are maps or tokens on a known grid.
    """
    order = {node.path: number for number, node in enumerate(root.walk())}
    scale = {block.path: positions(block.result) for block in blocks}
    for glob, nodes in _around(root, scale).items():
        inside = [[path for path in scale if path.startswith(f"{node.path}.")] for node in nodes]
        held = [paths for paths in inside if paths]
        one_scale = all(_alike([scale[path] for path in paths]) for paths in held)
        if len(held) > 1 and one_scale and 2 * sum(map(len, held)) >= len(scale) and glob not in scale:
            return [node for node, paths in zip(nodes, inside, strict=True) if paths], "hold the blocks of one scale"
    known = [block for block in blocks if block.result is not None and block.result.whole_grid is not None]
    if len(known) == len(blocks) and not _alike(list(scale.values())):
        ordered = sorted(blocks, key=lambda block: order[block.path])
        ends = [one for one, later in pairwise(ordered) if not _alike([scale[one.path], scale[later.path]])]
        return [*ends, ordered[-1]], "the last block of each scale"
    return [], ""


def _alike(numbers: Sequence[int | None]) -> bool:
    """Whether numbers of positions are of one scale: a class token more or less makes no other."""
    known = [number for number in numbers if number]
    return not known or max(known) < 1.5 * min(known)


def _around(root: HostScope, blocks: Mapping[str, object]) -> Mapping[str, list[Node]]:
    """The modules around blocks by their paths with `*` for numbers, outer ones first."""
    wanted = {".".join(path.split(".")[:number]) for path in blocks for number in range(1, path.count(".") + 1)}
    found: dict[str, list[Node]] = {}
    for node in root.walk():
        if node.path in wanted and isinstance(node.content, Scope) and node.owns:
            found.setdefault(masked(node.path), []).append(node)
    return dict(sorted(found.items(), key=lambda one: one[0].count(".")))


def heads_of(root: HostScope, residuals: Residuals, taken: Sequence[Node]) -> list[Node]:
    """The last layers before outputs of one vector for each example; none of those inside blocks or stages."""
    found: dict[str, Node] = {}
    inside = tuple(f"{node.path}." for node in taken)
    for reference in root.outputs.values():
        if _is_pooled(root.tensor(reference)):
            found |= {node.path: node for node in _last(root, reference, residuals) if not node.path.startswith(inside)}
    return list(found.values())


def _last(scope: Scope, reference: str, residuals: Residuals) -> Iterator[Node]:
    """The layers that are the last on the way to a tensor of a scope."""
    todo, done = [reference], set()
    while todo:
        reference = todo.pop()
        name, _, output = reference.partition(".")
        if reference in done or name not in scope.nodes:
            continue
        done.add(reference)
        node = scope.nodes[name]
        if not residuals.weighs(node):
            todo.extend(node.inputs)
        elif isinstance(node.content, Scope):
            inner = node.content.outputs
            yield from _last(node.content, inner.get(output) or next(iter(inner.values())), residuals)
        else:
            yield node


def _is_pooled(tensor: TensorSpec) -> bool:
    """Whether a tensor holds one vector for each example."""
    return math.prod(tensor.shape[1:]) == max((1, *tensor.shape[1:]))


def features_of(root: HostScope, heads: Sequence[Node], blocks: Sequence[Node]) -> list[Node]:
    """The last node of the root whose output still has positions, on the way to the head."""
    if not heads or not blocks:
        return []
    holding = {block.path.partition(".")[0] for block in blocks}
    reference = next(
        (node.reference for node in root.nodes.values() if f"{heads[0].path}.".startswith(f"{node.path}.")), ""
    )
    while name_of(reference) in root.nodes:
        node, tensor = root.nodes[name_of(reference)], root.tensor(reference)
        positioned = not (_is_pooled(tensor) or passes(node) or _only_picks(node))
        if positioned or node.path.partition(".")[0] in holding:
            return [node]
        reference = node.inputs[0] if node.inputs else ""
    return []


def _only_picks(node: Node) -> bool:
    return only_moves(node) or node.kind == "pool" or (is_function(node) and node.op == "getitem")
