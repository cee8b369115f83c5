"""What tells blocks of one kind beside each other apart, in a few words: `projection, stride 2`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby

from composer.dag.operation import Operation
from composer.dag.scope import Node, Scope
from composer.draw.view import Box
from composer.spec.sites import BRANCH, SHORTCUT

# In what blocks may differ, in the order in which it is told.
Traits = Mapping[str, str]


def traits_of(scope: Scope) -> Traits:
    """The shortcut of a block and its stride, in words; an empty word for what needs none."""
    shortcuts = [node for node in scope.nodes.values() if SHORTCUT in node.sites]
    has_branch = any(BRANCH in node.sites for node in scope.nodes.values())
    found = {"shortcut": _shortcut(shortcuts, scope) if has_branch or shortcuts else ""}
    stride = _stride(scope)
    return {**found, "stride": f"stride {stride}" if stride > 1 else ""}


def told_apart(boxes: Sequence[Box], traits: Mapping[str, Traits]) -> Iterator[Box]:
    """The boxes of a view; blocks of one kind say in what they differ.

    traits  path of a block -> its traits
    """
    words: dict[str, str] = {}
    alike = sorted((box for box in boxes if box.path in traits and box.inner is not None), key=lambda box: box.op)
    for _, group in groupby(alike, key=lambda box: box.op):
        words.update(_differences(list(group), traits))
    for box in boxes:
        more = words.get(box.path)
        yield replace(box, detail=f"{box.detail}, {more}") if more else box


def _differences(group: Sequence[Box], traits: Mapping[str, Traits]) -> Iterator[tuple[str, str]]:
    """The path of each block of a kind, and in what it differs from the others; they are told apart by content too."""
    telling = [key for key in traits[group[0].path] if len({traits[box.path][key] for box in group}) > 1]
    told = {box.path: tuple(filter(None, (traits[box.path][key] for key in telling))) for box in group}
    for box in group:
        same = [other for other in group if told[other.path] == told[box.path]]
        if words := [*told[box.path], *_content(box, same)]:
            yield box.path, ", ".join(words)


def _content(box: Box, group: Sequence[Box]) -> Iterator[str]:
    """The first box in a block that not all blocks of a group have, or have with other options."""
    views = [other.inner for other in group if other.inner is not None]
    for child in box.inner.boxes if box.inner else ():
        if child.name.isdecimal():
            continue
        others = [view.by_name.get(child.name) for view in views]
        if None in others:
            # What rules put there is marked anyway.
            if child.rule is None:
                yield f"with {child.label}"
                return
            continue
        details = [other.detail.split(", ") for other in others if other is not None]
        if any(words != details[0] for words in details):
            own = [word for word in child.detail.split(", ") if not all(word in words for words in details)]
            if own:
                yield f"{child.label}: {', '.join(own)}"
            return


def _shortcut(shortcuts: Iterable[Node], scope: Scope) -> str:
    """What stands on the way around the branch."""
    kinds = {kind for node in shortcuts if node.content is not None for kind in _kinds(node.content)}
    if kinds & {"conv", "linear"}:
        return "projection"
    if kinds:
        return "pooled shortcut" if "pool" in kinds else "shortcut with " + " and ".join(sorted(kinds))
    return "identity" if any(node.kind == "merge" for node in scope.nodes.values()) else "no shortcut"


def _kinds(content: Operation | Scope) -> set[str]:
    if isinstance(content, Operation):
        return {content.entry.kind}
    return {node.kind for node in content.walk() if node.kind is not None}


def _stride(scope: Scope) -> int:
    """How many times shorter both sides of its map are behind a block than before; 1 if they are not."""
    taken = next(iter(scope.inputs.values()), None)
    given = next((scope.tensor(reference) for reference in scope.outputs.values()), None)
    before, after = (tensor.positions if tensor is not None else None for tensor in (taken, given))
    # Prefix tokens alone have a grid without positions.
    if before is None or after is None or not after.is_map:
        return 1
    strides = {round(before.height / after.height), round(before.width / after.width)}
    return strides.pop() if len(strides) == 1 else 1
