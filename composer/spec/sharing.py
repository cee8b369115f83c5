"""Checks the `share` of nodes: whom a node shares with, and that it writes nothing that its owner writes otherwise."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

from composer.errors import Diagnostic, did_you_mean, one_of
from composer.spec.expression import is_dynamic, parse_template
from composer.spec.model import NodeSpec
from composer.spec.origin import Origin, walk_strings
from composer.spec.tokens import ExpressionError

Problems = Iterator[Diagnostic]


def owner_of(name: str, nodes: Mapping[str, NodeSpec]) -> str | None:
    """The node whose module a node calls, however many others share in between; itself if it shares with nobody.

    None if the way leads to no node of the scope, or in a circle.
    """
    seen: set[str] = set()
    while name in nodes and isinstance(shared := nodes[name].share, str):
        if name in seen:
            return None
        seen.add(name)
        name = shared
    return name if name in nodes else None


def check_shares(nodes: Mapping[str, NodeSpec], origins: Mapping[str, Origin]) -> Problems:
    """The problems of a scope's nodes that share a module. No node of the scope is an `inline` repeat."""
    for name, node in nodes.items():
        if node.share is True:
            yield from _alike(node, origins[name])
        if not isinstance(node.share, str):
            continue
        here, owner = origins[name] / "share", owner_of(name, nodes)
        if node.share not in nodes:
            hint = did_you_mean(node.share, nodes, f"the nodes here are {one_of(nodes)}")
            yield here.problem("unknown-node", f"there is no node `{node.share}` here", "a node of this scope", hint)
        elif node.share == name:
            yield here.problem("share", f"`{name}` shares with itself", "another node of this scope")
        elif owner is None and _is_first(name, nodes):
            trail = " -> ".join(_trail(name, nodes))
            yield here.problem("share", f"nodes share with one another in a circle: {trail}", "a node of its own")
        elif owner is not None:
            yield from _same(node, owner, nodes[owner], origins[name])


def _alike(node: NodeSpec, origin: Origin) -> Problems:
    """A problem per expression that would make a difference between copies that are one."""
    for key, value in _computed(node).items():
        for text, here in walk_strings(value, origin / key) if key != "as" else ():
            with contextlib.suppress(ExpressionError):
                if is_dynamic(text) and any(name == "index" for name, _ in parse_template(text).reads):
                    label = "the same for all copies"
                    yield here.problem("share", "`index` differs, and `share: true` makes all copies one", label)


def _trail(name: str, nodes: Mapping[str, NodeSpec]) -> list[str]:
    """The nodes from this one on, each shared by the one before, until one comes again or is not there."""
    trail = [name]
    while name in nodes and isinstance(shared := nodes[name].share, str):
        trail.append(shared)
        if shared in trail[:-1]:
            break
        name = shared
    return trail


def _is_first(name: str, nodes: Mapping[str, NodeSpec]) -> bool:
    """Whether a node is the first written of its circle, where the circle is reported."""
    trail = _trail(name, nodes)
    order = {one: index for index, one in enumerate(nodes)}
    return trail[-1] == name and all(order[name] <= order[one] for one in trail)


def _same(node: NodeSpec, owner: str, owned: NodeSpec, origin: Origin) -> Problems:
    """A problem per key that both nodes write, differently."""
    own, theirs = _computed(node), _computed(owned)
    for key, value in own.items() if node.repeat is None else ():
        if key not in theirs or theirs[key] != value:
            what = f"`{owner}` has `{key}: {theirs[key]}`" if key in theirs else f"`{owner}` has no `{key}`"
            text = f"{what}, and this node calls the same module"
            help = (f"write `share: {node.share}` and `from` alone; the rest comes from `{owner}`",)
            yield (origin / key).problem("share", text, "remove it", help, key=True)


def _computed(node: NodeSpec) -> dict[str, Any]:
    """The keys that say what a node computes."""
    named = {"op": node.op, "block": node.block, "args": node.args, "repeat": node.repeat, "as": node.child_name}
    return {key: value for key, value in {**named, **node.options}.items() if value not in (None, {})}
