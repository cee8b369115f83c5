"""What composer needs of PyTorch beyond what PyTorch promises to keep.

No other file uses a private name of PyTorch. `tests/test_torch_private.py` says what each is needed for, and breaks
where a version of PyTorch takes one away.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses import FakeTensorMode
from torch._utils import IMPORT_MAPPING, NAME_MAPPING
from torch.nn.modules.batchnorm import _BatchNorm as AnyBatchNorm
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


def children(module: nn.Module) -> dict[str, nn.Module | None]:
    """A module's children by name, None for one that is left out. What is put into it is in the module."""
    return module._modules


def parameters(module: nn.Module) -> dict[str, nn.Parameter | None]:
    """The same of its own parameters."""
    return module._parameters


def buffers(module: nn.Module) -> dict[str, Tensor | None]:
    """The same of its own buffers."""
    return module._buffers


def without_state_dict(module: nn.Module) -> set[str]:
    """Names of a module's own buffers that no state_dict holds."""
    return module._non_persistent_buffers_set


def share_parameters(module: nn.Module, other: nn.Module) -> None:
    """Let a module have the parameters of another from now on, whatever becomes of them."""
    module._parameters = other._parameters


def twin(made: type[nn.Module], of: nn.Module) -> nn.Module:
    """An object of a class with the hooks, the buffers, the mode and all else of a module, but for its children and
    parameters, and what `compile` made of its forward."""
    result = made.__new__(made)
    result.__dict__.update(of.__dict__)
    result.__dict__.update(_modules={}, _parameters={}, _compiled_call_impl=None)
    return result


def is_compiled(module: nn.Module) -> bool:
    """Whether it went through `torch.compile`, or its own `compile()`."""
    return "_orig_mod" in module._modules or module._compiled_call_impl is not None


def arguments_of(operation: Any) -> list[Any]:
    """The arguments of an operation of the dispatcher, each with its name and default."""
    return list(operation._schema.arguments)


def storage_of(tensor: Tensor) -> int:
    """A number that tensors have in common that share their memory, also where they have none."""
    return int(tensor.untyped_storage()._cdata)


def unpickled_names() -> set[str]:
    """What `torch.load` with `weights_only` takes in a pickle, by its full name."""
    return set(torch._weights_only_unpickler._get_allowed_globals())


__all__ = [
    "IMPORT_MAPPING",
    "NAME_MAPPING",
    "AnyBatchNorm",
    "FakeTensorMode",
    "TorchDispatchMode",
    "arguments_of",
    "buffers",
    "children",
    "is_compiled",
    "parameters",
    "share_parameters",
    "storage_of",
    "tree_leaves",
    "twin",
    "unpickled_names",
    "without_state_dict",
]
