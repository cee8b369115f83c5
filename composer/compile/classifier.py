"""Another classifier for a network that is already built."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from composer.dag.graph import compose
from composer.errors import Diagnostic, InputError
from composer.spec.load import load

if TYPE_CHECKING:
    from composer.compile.module import ComposedModule


def change_classes(model: ComposedModule, num_classes: int) -> None:
    """Give a network a new classifier, in place; see ComposedModule.reset_classifier."""
    if "num_classes" not in model.spec.vars:
        text = f"`{model.spec.name}` has no var `num_classes`"
        raise InputError(Diagnostic("classifier", text, help=("give its spec one, and let the classifier read it",)))
    from composer.compile.module import compile_graph

    graph = compose(load(model.spec, vars={"num_classes": num_classes}), model.graph.limits)
    like = next(model.parameters(), torch.empty(0))
    twin = compile_graph(graph, model.seed).to(device=like.device, dtype=like.dtype).train(model.training)
    heads = [place.node.path for one in (model.graph, graph) for place in one.places if "head" in place.node.sites]
    # The node of the root that holds the classifier gives way whole: its own forward may have changed with it.
    for name in dict.fromkeys(path.partition(".")[0] for path in heads):
        old, new = getattr(model, name, None), getattr(twin, name, None)
        if old is not None and new is not None:
            inside = [".".join(rest) for first, *rest in (path.split(".") for path in heads) if first == name]
            share(new, old, leave=tuple(inside))
        if old is not None and new is None:
            delattr(model, name)
        elif new is not None:
            setattr(model, name, new)
    model.__class__ = type(twin)
    model.spec, model.graph, model.code = twin.spec, twin.graph, twin.code


def share(module: nn.Module, other: nn.Module, leave: tuple[str, ...] = ()) -> None:
    """Give a module the other's parameters and buffers of the same names, those below the paths to leave apart."""
    names = {*dict(module.named_parameters()), *dict(module.named_buffers())}
    for name, tensor in [*other.named_parameters(), *other.named_buffers()]:
        if name in names and not name.startswith(leave):
            owner, _, own = name.rpartition(".")
            setattr(module.get_submodule(owner), own, tensor)
