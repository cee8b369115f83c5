"""The differences between two paired networks, node by node."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from dataclasses import replace
from typing import Any, Literal

from composer.dag.host import HostOperation, HostScope
from composer.dag.operation import Operation
from composer.dag.scope import Node, Scope, num_parameters
from composer.dag.tensor import TensorSpec
from composer.difference.change import Change, Kind, NodePath
from composer.difference.pairing import Pairing
from composer.difference.side import Side, children, partners
from composer.difference.wiring import Wiring
from composer.summary.columns import shape
from composer.summary.rows import operation

# Options that say how weights start.
_START = frozenset({"init", "std", "bias_init"})


def changes(found: Pairing) -> Iterator[Change]:
    """Every difference: removed, added, moved and changed nodes, each in running order.

    Parameters and MACs of all differences, after minus before, sum to the difference of the networks.
    """
    removed = {path: _whole(found.before, path, "removed") for path in _alone(found.before, found.pairs)}
    added = {path: _whole(found.after, path, "added") for path in _alone(found.after, found.back)}
    # An operation was replaced by a scope, or a scope by an operation.
    replaced = removed.keys() & added.keys()
    wiring = Wiring(found)
    yield from (change for path, change in removed.items() if path not in replaced)
    yield from (change for path, change in added.items() if path not in replaced)
    yield from _ends(found, wiring)
    moved = {path: None for path in found.before.nodes if path in found.pairs and found.moved(path)}
    yield from (_pair(found, wiring, path, "moved") for path in moved)
    for path in found.before.nodes:
        if path in replaced:
            yield _joined(removed[path], added[path])
        elif path in found.pairs and path not in moved:
            change = _pair(found, wiring, path, "changed")
            if change.details:
                yield change


def _alone(side: Side, paired: Container[NodePath]) -> Iterator[NodePath]:
    """Nodes without a pair, of their own or inside; for a scope, only the scope itself."""

    def visit(nodes: Iterable[Node]) -> Iterator[NodePath]:
        for node in nodes:
            if any(path in paired for path in side.below(node.path)):
                yield from visit(children(node))
            else:
                yield node.path

    return visit(node for node in side.graph.root.parts.values() if node.content is not None)


def _whole(side: Side, path: NodePath, kind: Literal["removed", "added"]) -> Change:
    node, parameters, macs = side.nodes[path], num_parameters(side.nodes[path]), side.macs[path]
    size, sources = side.size[path], side.sources[path]
    if kind == "removed":
        return Change(kind, path, None, operation(node), size, sources, {}, (parameters, 0), (macs, 0))
    return Change(kind, None, path, operation(node), size, sources, {}, (0, parameters), (0, macs))


def _joined(removed: Change, added: Change) -> Change:
    """The change at a path whose node was replaced by another node."""
    return replace(
        added,
        kind="changed",
        before=removed.before,
        details={"op": (removed.op, added.op)},
        parameters=(removed.parameters[0], added.parameters[1]),
        macs=(removed.macs[0], added.macs[1]),
    )


def _pair(found: Pairing, wiring: Wiring, path: NodePath, kind: Literal["moved", "changed"]) -> Change:
    """The changes of a node; for a scope, without changes inside."""
    other = found.pairs[path]
    before, after = found.before.nodes[path], found.after.nodes[other]
    own = isinstance(after.content, Operation)
    return Change(
        kind,
        path,
        other,
        operation(after),
        found.after.size[other],
        found.after.sources[other],
        dict(_details(found, wiring, path)),
        (num_parameters(before), num_parameters(after)) if own else (0, 0),
        (found.before.macs[path], found.after.macs[other]) if own else (0, 0),
    )


def _details(found: Pairing, wiring: Wiring, path: NodePath) -> Iterator[tuple[str, tuple[Any, Any]]]:
    other = found.pairs[path]
    before, after = found.before.nodes[path], found.after.nodes[other]
    # A model of another library calls its blocks otherwise.
    foreign = HostScope in (type(before.content), type(after.content))
    if before.op != after.op and not (
        foreign and isinstance(before.content, Scope) and isinstance(after.content, Scope)
    ):
        yield "op", (before.op, after.op)
    if (shares := _shares(found, before, after)) is not None:
        yield "shares", shares
    if not (isinstance(before.content, Operation) and isinstance(after.content, Operation)):
        return
    if found.before.alike[path] != found.after.alike[other]:
        if before.op == after.op:
            yield from _options(before.content, after.content)
        taken = [
            [side.tensor(one) for one in side.sources[p]] for side, p in ((found.before, path), (found.after, other))
        ]
        yield from _shapes("input", *taken)
        yield from _shapes("output", [before.tensor], [after.tensor])
    if wiring.differs(found.before.sources[path], found.after.sources[other]):
        yield "from", (found.before.sources[path], found.after.sources[other])


def _shares(found: Pairing, before: Node, after: Node) -> tuple[str | None, str | None] | None:
    """The owners of the modules that two nodes call, if they differ; in a block that is called again, of the block."""
    ours = {child: found.pairs.get(owner, owner) for child, owner in before.shares.items()}
    told = before.calls or after.calls or num_parameters(before) != num_parameters(after)
    if ours == after.shares or not told:
        return None
    return ", ".join(before.shares.values()) or None, ", ".join(after.shares.values()) or None


def _options(before: Operation, after: Operation) -> Iterator[tuple[str, tuple[Any, Any]]]:
    recorded = HostOperation in (type(before), type(after))
    for name in after.entry.known_options:
        one, other = before.arguments.get(name), after.arguments.get(name)
        # How the weights of a recorded module start is not known.
        if one != other and not (recorded and name in _START):
            yield f"options.{name}", (one, other)


def _shapes(name: str, before: list[TensorSpec], after: list[TensorSpec]) -> Iterator[tuple[str, tuple[Any, Any]]]:
    if before == after:
        return
    one, other = (", ".join(map(shape, tensors)) for tensors in (before, after))
    if one == other:
        one, other = (", ".join(str(tensor.layout) for tensor in tensors) for tensors in (before, after))
    yield name, (one, other)


def _ends(found: Pairing, wiring: Wiring) -> Iterator[Change]:
    """Differences in the networks' own inputs and outputs."""
    before, after = found.before.graph.root.inputs, found.after.graph.root.inputs
    for one, other in partners(before, after):
        details = dict(_shapes("output", [before[one]], [after[other]])) if one and other else {}
        if details or not (one and other):
            yield Change(_kind(one, other), one, other, "input", details=details)
    for one, other in partners(found.before.outputs, found.after.outputs):
        ours = (found.before.outputs[one],) if one else ()
        theirs = (found.after.outputs[other],) if other else ()
        if wiring.differs(ours, theirs):
            paths = one and f"outputs.{one}", other and f"outputs.{other}"
            yield Change(_kind(one, other), *paths, "output", 0, theirs or ours, {"from": (ours, theirs)})


def _kind(before: NodePath | None, after: NodePath | None) -> Kind:
    return "added" if before is None else "removed" if after is None else "changed"
