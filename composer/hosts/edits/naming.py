"""Names of inserted modules that the module around them has for something else: the next free name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from torch import nn

from composer.compile.parts import is_child
from composer.dag.host import HostScope, edited_part, recorded_part
from composer.dag.scope import Node, Scope
from composer.hosts.edits.ends import ends_of
from composer.hosts.edits.frames import Change, change_of, frames


def with_free_names(before: HostScope, after: HostScope, model: nn.Module) -> HostScope:
    """The tree after rules, whose inserted nodes have names that nothing else in their modules has."""
    return _named(after, _free_names(before, after, model))


def whole_with_free_names(whole: HostScope) -> HostScope:
    """As `with_free_names`, of the model of another library that a spec begins with, with the nodes behind it."""
    assert whole.twin is not None, "a whole model is kept"
    return _named(whole, _free_names(recorded_part(whole), edited_part(whole), whole.twin))


def _free_names(before: HostScope, after: HostScope, model: nn.Module) -> dict[str, str]:
    names: dict[str, str] = {}
    known = {frame.path: frame for frame in frames(before)}
    for frame in frames(after):
        change = change_of(known[frame.path], frame) if frame.path in known else None
        if change is not None:
            names |= _renamed(change, model)
    return names


def _named(scope: HostScope, names: Mapping[str, str]) -> HostScope:
    found = _with_names(scope, names) if names else scope
    assert isinstance(found, HostScope)
    return found


def is_taken(module: nn.Module, name: str, *, may_fill: bool = False) -> bool:
    """Whether a module has something of this name; `may_fill`: an attribute that is None does not count."""
    if name in module.__dict__:
        return not (may_fill and module.__dict__[name] is None)
    return hasattr(type(module), name) or hasattr(module, name)


def _renamed(change: Change, model: nn.Module) -> dict[str, str]:
    """Path of an inserted node -> its new name."""
    # A forward that is run as it was may ask whether the attribute is None; one that is written anew does not.
    opens = change.crosses or (
        not change.only_replaces and ends_of(change, type(model.get_submodule(change.path))) is None
    )
    found: dict[str, str] = {}
    for name, step in change.added.items():
        if name in change.gone or not is_child(step.node):
            continue
        module = model.get_submodule(change.after.holder(step))
        number, own = 1, step.node.name
        while is_taken(module, own, may_fill=opens and not step.place) or own in found.values():
            number += 1
            own = f"{step.node.name}_{number}"
        if own != step.node.name:
            found[step.node.path] = own
    return found


def _with_names(scope: Scope, names: Mapping[str, str]) -> Scope:
    """The scope, and those inside, with new names by path of the node."""
    own = {node.name: names[node.path] for node in scope.nodes.values() if node.path in names}

    def reference(one: str) -> str:
        name, dot, rest = one.partition(".")
        return f"{own.get(name, name)}{dot}{rest}"

    def renamed(node: Node) -> Node:
        content: Any = node.content
        if isinstance(content, Scope):
            content = _with_names(replace(content, path=_path(content.path, names)), names)
        return replace(
            node,
            name=own.get(node.name, node.name),
            path=_path(node.path, names),
            inputs=tuple(map(reference, node.inputs)),
            content=content,
            tail=node.tail and own.get(node.tail, node.tail),
            calls=node.calls and own.get(node.calls, node.calls),
            shares={child: _path(owner, names) for child, owner in node.shares.items()},
        )

    nodes = dict(_pairs(renamed(node) for node in scope.nodes.values()))
    held = dict(_pairs(renamed(node) for node in scope.held.values()))
    outputs = {name: reference(one) for name, one in scope.outputs.items()}
    leads = {name: reference(one) for name, one in scope.leads.items()}
    return replace(scope, nodes=nodes, held=held, outputs=outputs, leads=leads)


def _pairs(nodes: Iterator[Node]) -> Iterator[tuple[str, Node]]:
    return ((node.name, node) for node in nodes)


def _path(path: str, names: Mapping[str, str]) -> str:
    """The path with the new name of the node that it is, or is inside of."""
    steps = path.split(".")
    for length in range(len(steps), 0, -1):
        if (new := names.get(".".join(steps[:length]))) is not None:
            return ".".join([*steps[: length - 1], new, *steps[length:]])
    return path
