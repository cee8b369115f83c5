"""Gives a built network another classifier."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn

from composer.compile.emit import make
from composer.compile.lend import lend
from composer.compile.origin import Composed
from composer.compile.parts import modules
from composer.dag.levels import end_of_features
from composer.dag.operation import Operation
from composer.dag.scope import Node, Scope
from composer.errors import Diagnostic, InputError
from composer.spec.load import load_spec
from composer.spec.sites import HEAD

NUM_CLASSES = "num_classes"


def head_nodes(scope: Scope) -> list[Node]:
    """The classifiers, also those that were left out: the outermost nodes with site `head`."""
    found: list[Node] = []
    for node in modules(scope).values():
        if HEAD in node.sites:
            found.append(node)
        elif isinstance(node.content, Scope) and node.owns:
            found += head_nodes(node.content)
    return found


def change_classes(model: nn.Module, old: Composed, num_classes: int, global_pool: str | None) -> Composed:
    """Give a network a new classifier, in place, as ComposedModule.reset_classifier; return its new origin."""
    spec = old.graph.spec
    if NUM_CLASSES not in spec.vars:
        text = f"`{spec.name}` has no var `{NUM_CLASSES}`"
        raise InputError(Diagnostic("classifier", text, help=("give its spec one, and let the classifier read it",)))
    graph = type(old.graph).of(load_spec(spec, vars={NUM_CLASSES: num_classes}), old.graph.limits)
    pools = [] if global_pool is None else _pools(old, global_pool)
    like = next(model.parameters(), torch.empty(0))
    heads = head_nodes(graph.root)
    if num_classes and not heads:
        text = f"`{spec.name}` has no classifier: its outputs leave it out"
        raise InputError(Diagnostic("classifier", text, label="a network whose outputs need a node of the site `head`"))
    for owner in dict.fromkeys(node.path.rpartition(".")[0] for node in heads):
        _check_owner(model, old, owner)
    for node in heads:
        head: nn.Module = make(node, old.seed)
        model.set_submodule(node.path, head.to(device=like.device, dtype=like.dtype).train(model.training))
        lend(model, graph.root, node.path)
    for path, pool in pools:
        model.set_submodule(path, pool.train(model.training))
    return Composed(graph, old.seed)


def _check_owner(model: nn.Module, old: Composed, path: str) -> None:
    """Raises InputError if the module that holds the classifier was replaced: its own classifier cannot be found."""
    try:
        found: object = model.get_submodule(path)
    except AttributeError:
        found = None
    if path and not isinstance(found, old.classes[path]):
        text = f"`{path}`, which held the classifier of `{old.graph.spec.name}`, is a {type(found).__name__} now"
        help = (f"replace the classifier by hand: `model.{path} = ...`",)
        raise InputError(Diagnostic("classifier", text, help=help))


def _pools(old: Composed, global_pool: str) -> list[tuple[str, nn.Module]]:
    """Path of each pooling operation after the features, and the module to put there. Raises InputError."""
    nodes = list(_pooling(old.graph.root))
    if global_pool not in ("avg", "") or not nodes:
        text = f"`{old.graph.spec.name}` has no pooling `{global_pool}`"
        label = "`avg`, or an empty string for none" if nodes else "no `global_pool`: it has no global_avg_pool"
        raise InputError(Diagnostic("classifier", text, label=label))
    if global_pool == "":
        return [(node.path, nn.Identity()) for node in nodes]
    return [(node.path, make(node, old.seed)) for node in nodes]


def _pooling(root: Scope) -> Iterator[Node]:
    end = end_of_features(root)
    names = list(root.nodes)
    behind = names[names.index(end.name) + 1 :] if end else []
    for name in behind:
        node = root.nodes[name]
        inside = node.content.walk() if isinstance(node.content, Scope) else [node]
        yield from (one for one in inside if isinstance(one.content, Operation) and one.op == "global_avg_pool")
