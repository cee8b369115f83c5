"""What an operation computes, primitive by primitive: one call of its module, recorded."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from composer.dag.host import HostScope
from composer.dag.operation import Operation
from composer.dag.tensor import TensorSpec
from composer.foreign import is_error
from composer.hosts.recording.entries import HostEntry
from composer.hosts.recording.record import record
from composer.registry import ModuleEntry

# Kinds of layers that may be more than one step, such as attention over tokens; mechanisms are whatever their kind.
_KINDS = ("token", "other")


def primitives(operation: Operation, inputs: Sequence[TensorSpec]) -> HostScope | None:
    """The graph of an operation that is more than one step: poolings, convolutions, products.

    None for layers that are primitives themselves, and for modules whose forward reads values, which nothing has here.
    """
    if not _may_be_several(operation):
        return None
    tensors = [torch.empty(tensor.shape, device="meta") for tensor in inputs]
    entry = operation.entry
    try:
        with torch.device("meta"), torch.no_grad():
            module = operation.make()
            if isinstance(entry, HostEntry) and entry.given is not None:
                args, kwargs = entry.given.filled(entry.given.cast(tensors))
                return record(module, args, kwargs, whole=_is_leaf)
            return record(module, tensors, whole=_is_leaf)
    except BaseException as error:
        if not is_error(error):
            raise
        return None


def _may_be_several(operation: Operation) -> bool:
    entry = operation.entry
    if isinstance(entry, HostEntry):
        return not _is_leaf(entry.made)
    return isinstance(entry, ModuleEntry) and (entry.category == "mechanism" or entry.kind in _KINDS)


def _is_leaf(module: torch.nn.Module) -> bool:
    return next(module.children(), None) is None
