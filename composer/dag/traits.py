"""What people say of a block: which shortcut it has, and its stride."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from composer.dag.operation import Operation
from composer.dag.scope import Node, Scope
from composer.spec.sites import BRANCH, SHORTCUT

# In what blocks of a kind may differ, in the order in which it is told.
Traits = Mapping[str, str]


def traits_of(scope: Scope) -> Traits:
    """The shortcut of a block and its stride, in words; an empty word for what needs none."""
    shortcuts = [node for node in scope.nodes.values() if SHORTCUT in node.sites]
    has_branch = any(BRANCH in node.sites for node in scope.nodes.values())
    found = {"shortcut": _shortcut(shortcuts, scope) if has_branch or shortcuts else ""}
    stride = _stride(scope)
    return {**found, "stride": f"stride {stride}" if stride > 1 else ""}


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
