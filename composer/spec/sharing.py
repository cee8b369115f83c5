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


def check_shares(nodes: Mapping[str, NodeSpec], origins: Mapping[str, Origin]) -> Problems:
    """The problems of a scope's nodes that share a module. No node of the scope is an `inline` repeat."""
    # Node -> the node that owns the module that it calls; None if there is none.
    owners: dict[str, str | None] = {}
    for name, node in nodes.items():
        here = origins[name] / "share"
        if node.share is True:
            yield from _alike(node, origins[name])
        if not isinstance(node.share, str):
            continue
        if node.share not in nodes:
            hint = did_you_mean(node.share, nodes, f"the nodes here are {one_of(nodes)}")
            yield here.problem("unknown-node", f"there is no node `{node.share}` here", "a node of this scope", hint)
        elif node.share == name:
            yield here.problem("share", f"`{name}` shares with itself", "another node of this scope")
        elif name not in owners:
            way, again = _way(name, nodes, owners)
            if len(way) > 1 and again in way:
                circle = [*way[way.index(again) :], again]
                shown = circle if len(circle) < 10 else [*circle[:6], "…", *circle[-2:]]
                text = f"nodes share with one another in a circle: {' -> '.join(shown)}"
                yield (origins[again] / "share").problem("share", text, "a node of its own")
        if (owner := owners.get(name)) is not None:
            yield from _same(node, owner, nodes[owner], origins[name])


def _way(name: str, nodes: Mapping[str, NodeSpec], owners: dict[str, str | None]) -> tuple[list[str], str]:
    """The nodes from this one on, each shared by the one before, and the node after them; notes their owner.

    The way ends before a node of its own, before one whose owner is known, or before one that is on the way already.
    """
    way: dict[str, None] = {}
    while name not in way and name not in owners and name in nodes and isinstance(shared := nodes[name].share, str):
        way[name] = None
        name = shared
    alone = name in nodes and name not in way and name not in owners
    owners.update(dict.fromkeys(way, name if alone else owners.get(name)))
    return [*way], name


def _alike(node: NodeSpec, origin: Origin) -> Problems:
    """A problem per expression that would make a difference between copies that are one."""
    for key, value in _computed(node).items():
        for text, here in walk_strings(value, origin / key) if key != "as" else ():
            with contextlib.suppress(ExpressionError):
                if is_dynamic(text) and any(name == "index" for name, _ in parse_template(text).reads):
                    label = "the same for all copies"
                    yield here.problem("share", "`index` differs, and `share: true` makes all copies one", label)


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
    """The keys that say what a node computes. That `backbone` does not go with `share` is known already."""
    block = None if node.block is not None and "/" in node.block else node.block
    named = {"op": node.op, "block": block, "args": node.args, "repeat": node.repeat, "as": node.child_name}
    return {key: value for key, value in {**named, **node.options}.items() if value not in (None, {})}
