"""Which modules of a network differ from what was composed: replaced, added, removed or changed by hand."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import torch
from torch import nn

from composer.compile.derived import keeps_forward
from composer.compile.lend import with_shared
from composer.compile.origin import Composed
from composer.compile.parts import modules
from composer.dag.host import HostScope
from composer.dag.operation import Operation
from composer.dag.scope import Node, Scope
from composer.errors import one_of
from composer.shared import Shared
from composer.torch_private import buffers, children, parameters

# A module without its weights: class, options, shapes of its tensors, and the same of its children.
Form = tuple[str, str, tuple[tuple[str, Any], ...], tuple[tuple[str, Any], ...]]


def edits_of(root: nn.Module, composed: Composed) -> tuple[str, ...]:
    """A sentence per module that differs from what was composed, the outermost only; none for an untouched network."""
    found = composed.graph.root
    return () if isinstance(found, HostScope) else tuple(_inside(root, found, composed))


def _inside(module: nn.Module, scope: Scope, composed: Composed) -> Iterator[str]:
    prefix = f"{scope.path}." if scope.path else ""
    known = modules(scope)
    for name, node in known.items():
        child = children(module).get(name)
        if child is None:
            yield f"{prefix}{name} is gone: it was {_composed(node)}"
        elif isinstance(node.content, HostScope) and issubclass(type(child), node.content.module):
            # Models of other libraries are changed by hand in more ways than could be told.
            continue
        elif isinstance(node.content, Scope) and node.owns and keeps_forward(type(child), composed.classes[node.path]):
            yield from _inside(child, node.content, composed)
        elif (isinstance(node.content, Scope) and node.owns) or _form(child) != _expected(node):
            now, was = _words(child), _composed(node)
            more = _unlike(_form(child), _expected(node)) if now == was else ""
            yield f"{prefix}{name} is {now}{more}: it was {was}"
    for name, child in children(module).items():
        if name not in known and child is not None:
            yield f"{prefix}{name} is {_words(child)}: it was not there"
    for name, tensor in (*parameters(module).items(), *buffers(module).items()):
        if name not in scope.nodes and tensor is not None:
            yield f"{prefix}{name} is a tensor of {'×'.join(map(str, tensor.shape)) or '1'}: it was not there"


def _expected(node: Node) -> Form:
    if node.content is None:
        return _form(nn.Identity())
    if not node.owns:
        return _form(Shared())
    assert isinstance(node.content, Operation)
    return _form_of(node.content, tuple(node.shares))


@lru_cache(maxsize=4096)
def _form_of(operation: Operation, shared: tuple[str, ...]) -> Form:
    with torch.device("meta"):
        return _form(with_shared(operation.make(), shared))


def _form(module: nn.Module) -> Form:
    # `inplace` changes no numbers.
    options = (
        ""
        if isinstance(module, Shared)
        else module.extra_repr().replace("inplace=True", "").replace(", inplace=True", "")
    )
    tensors = tuple(
        (name, None if tensor is None else tuple(tensor.shape))
        for name, tensor in (*parameters(module).items(), *buffers(module).items())
    )
    inside = tuple((name, _form(child)) for name, child in children(module).items() if child is not None)
    return f"{type(module).__module__}.{type(module).__qualname__}", options, tensors, inside


def _unlike(now: Form, was: Form) -> str:
    """What sets a module apart from another that prints alike: its class, or the names of its tensors and children."""
    if now[0] != was[0]:
        return f", of class `{now[0]}`"
    own, before = ([name for part in one[2:] for name, _ in part] for one in (now, was))
    found = (("with", set(own) - set(before)), ("without", set(before) - set(own)))
    return "".join(f", {word} {one_of(sorted(names), 4)}" for word, names in found if names)


def _words(module: nn.Module) -> str:
    return " ".join(repr(module).split()) if not children(module) else type(module).__name__


def _composed(node: Node) -> str:
    if node.content is None:
        return "left out"
    if not node.owns:
        return f"shared with `{node.owner}`"
    if isinstance(node.content, Scope):
        return f"a `{node.op}`"
    with torch.device("meta"):
        return _words(node.content.make())
