"""What differs between two networks that have been matched, node by node."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from dataclasses import replace
from typing import Any, Literal

from composer.dag.scope import Node, Operation, TensorSpec, num_parameters
from composer.difference.change import Change, Kind, NodePath
from composer.difference.pairing import Pairing
from composer.difference.side import Side, children, partners
from composer.difference.wiring import Wiring
from composer.summary.columns import shape
from composer.summary.rows import operation


def changes(found: Pairing) -> Iterator[Change]:
    """Every difference: what was removed, added, moved and changed, each in the order the nodes run.

    The parameters and MACs of all of them, after less before, are those of the networks.
    """
    removed = {path: _whole(found.before, path, "removed") for path in _alone(found.before, found.pairs)}
    added = {path: _whole(found.after, path, "added") for path in _alone(found.after, found.back)}
    # A scope where an operation was, or the other way round.
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
    """Nodes without a pair, and without one for anything in them; of a scope, the scope alone."""

    def visit(nodes: Iterable[Node]) -> Iterator[NodePath]:
        for node in nodes:
            if any(path in paired for path in side.below(node.path)):
                yield from visit(children(node))
            else:
                yield node.path

    return visit(node for node in side.graph.root.nodes.values() if node.content is not None)


def _whole(side: Side, path: NodePath, kind: Literal["removed", "added"]) -> Change:
    node, parameters, macs = side.nodes[path], num_parameters(side.nodes[path]), side.macs[path]
    size, sources = side.size[path], side.sources[path]
    if kind == "removed":
        return Change(kind, path, None, operation(node), size, sources, {}, (parameters, 0), (macs, 0))
    return Change(kind, None, path, operation(node), size, sources, {}, (0, parameters), (0, macs))


def _joined(removed: Change, added: Change) -> Change:
    """What stood at a path and what stands there now."""
    return replace(
        added,
        kind="changed",
        before=removed.before,
        details={"op": (removed.op, added.op)},
        parameters=(removed.parameters[0], added.parameters[1]),
        macs=(removed.macs[0], added.macs[1]),
    )


def _pair(found: Pairing, wiring: Wiring, path: NodePath, kind: Literal["moved", "changed"]) -> Change:
    """What changed of a node; of a scope, without what changed inside."""
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
    if before.op != after.op:
        yield "op", (before.op, after.op)
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


def _options(before: Operation, after: Operation) -> Iterator[tuple[str, tuple[Any, Any]]]:
    for name in after.entry.known_options:
        one, other = before.arguments.get(name), after.arguments.get(name)
        if one != other:
            yield f"options.{name}", (one, other)


def _shapes(name: str, before: list[TensorSpec], after: list[TensorSpec]) -> Iterator[tuple[str, tuple[Any, Any]]]:
    if before == after:
        return
    one, other = (", ".join(map(shape, tensors)) for tensors in (before, after))
    if one == other:
        one, other = (", ".join(str(tensor.layout) for tensor in tensors) for tensors in (before, after))
    yield name, (one, other)


def _ends(found: Pairing, wiring: Wiring) -> Iterator[Change]:
    """Differences of the networks' own inputs and outputs."""
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
