"""Gradient checkpointing: in training, blocks keep only their input and run again for the backward pass."""

from __future__ import annotations

import contextlib
import copyreg
import functools
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from composer.compile.classes import composed_module
from composer.compile.derived import derive
from composer.torch_private import AnyBatchNorm


class Checkpointed(nn.Module):
    """Marks a checkpointed module: its class derives from its plain class and from this one."""


def set_checkpointed(module: nn.Module, enable: bool) -> None:
    """Switch gradient checkpointing of a module on or off. Children, keys and hooks stay as they are."""
    plain = plain_class(type(module))
    module.__class__ = checkpointed(plain) if enable else plain


def checkpointed_module(make: Callable[..., nn.Module], arguments: tuple[Any, ...]) -> nn.Module:
    """An empty object of a checkpointed class, made by the recipe of the plain class.

    Pickled networks call this function by name: never rename or move it.
    """
    module = make(*arguments)
    set_checkpointed(module, True)
    return module


def plain_class(found: type[nn.Module]) -> type[nn.Module]:
    """The class of a module without the mark of checkpointing."""
    marked = next((one for one in found.__mro__ if Checkpointed in one.__bases__), None)
    # fully_shard and others may derive a class from the marked one; what they add stays.
    return found if marked is None else derive(found, marked, marked.__bases__[0])


_made: dict[type[nn.Module], type[nn.Module]] = {}


def checkpointed(plain: type[nn.Module]) -> type[nn.Module]:
    """The checkpointing class for a plain class; the same one at each call."""
    if plain in _made:
        return _made[plain]
    members = {"__call__": _call, "__reduce_ex__": _reduce, "__module__": plain.__module__, "__doc__": plain.__doc__}
    return _made.setdefault(plain, type(plain.__name__, (plain, Checkpointed), members))


def _call(self: nn.Module, *inputs: Any, **options: Any) -> Any:
    run = functools.partial(nn.Module.__call__, self)
    if not (self.training and torch.is_grad_enabled()):
        return run(*inputs, **options)
    if torch.compiler.is_compiling():
        return checkpoint(run, *inputs, use_reentrant=False, **options)
    contexts = functools.partial(_contexts, self)
    return checkpoint(run, *inputs, use_reentrant=False, context_fn=contexts, **options)


def _contexts(module: nn.Module) -> tuple[Any, Any]:
    return contextlib.nullcontext(), _same_statistics(module)


@contextlib.contextmanager
def _same_statistics(module: nn.Module) -> Iterator[None]:
    """The second run sees the same batch, and must not update running statistics again."""
    norms = [one for one in module.modules() if isinstance(one, AnyBatchNorm) and one.running_mean is not None]
    kept = [
        (one, one.momentum, one.num_batches_tracked.clone()) for one in norms if one.num_batches_tracked is not None
    ]
    try:
        for one, _, _ in kept:
            one.momentum = 0.0
        yield
    finally:
        for one, momentum, count in kept:
            one.momentum = momentum
            one.num_batches_tracked.copy_(count)  # type: ignore[union-attr]


def _reduce(self: nn.Module, protocol: Any) -> Any:
    state: Any = object.__reduce_ex__(self, protocol)[2:]
    plain = plain_class(type(self))
    text = plain.__dict__.get("code")
    recipe = (composed_module, (text,)) if text is not None else (copyreg.__newobj__, (plain,))  # type: ignore[attr-defined]
    return checkpointed_module, recipe, *state
