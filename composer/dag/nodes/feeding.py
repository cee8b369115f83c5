"""What feeds an operation whose inputs do not fit together, as advice."""

from __future__ import annotations

from composer.dag.nodes.step import Step
from composer.dag.operation import Operation
from composer.dag.order import node_of
from composer.dag.scope import Node
from composer.registry import Entry

_KEEPDIM = "keepdim"
_BROADCAST = "broadcast"


def advice(step: Step, entry: Entry, *, broadcasts: bool) -> tuple[str, ...]:
    """Which input gives what, from which line, and how a pool can keep its axes; nothing for what merges nothing.

    broadcasts  whether the node says `broadcast: true` already
    """
    if entry.kind != "merge" or len(step.references) < 2:
        return ()
    each = [
        f"`{one}`{_line(step, one)} gives {tensor}" for one, tensor in zip(step.references, step.tensors, strict=True)
    ]
    return (", ".join(each), *(_kept(step, broadcasts=broadcasts) if _BROADCAST in entry.known_options else ()))


def _line(step: Step, reference: str) -> str:
    node = step.nodes.get(node_of(reference))
    where, here = node.origin.location(key=True) if node else None, step.origin.location(key=True)
    if where is None:
        return ""
    return f" (line {where.line})" if here and here.source.name == where.source.name else f" ({where})"


def _kept(step: Step, *, broadcasts: bool) -> tuple[str, ...]:
    """Advice to keep the axes that a pool drops, if such a pool meets a map."""
    if not any(len(one.shape) > 2 for one in step.tensors):
        return ()
    flat = [ref for ref, one in zip(step.references, step.tensors, strict=True) if len(one.shape) == 2]
    pools = dict.fromkeys(pool.name for one in flat if (pool := _pool(step, one)) is not None)
    then = "" if broadcasts else ", and `broadcast: true` here"
    return tuple(f"`{one}` drops the axes that it pools: write `keepdim: true` there{then}" for one in pools)


def _pool(step: Step, reference: str) -> Node | None:
    """The pool from which a tensor comes, through operations of one input; None if there is none."""
    node = step.nodes.get(node_of(reference))
    while node is not None and isinstance(node.content, Operation):
        if _KEEPDIM in node.content.entry.known_options and not node.content.arguments.get(_KEEPDIM):
            return node
        node = step.nodes.get(node_of(node.inputs[0])) if len(node.inputs) == 1 else None
    return None
