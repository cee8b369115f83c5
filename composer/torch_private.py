"""The private names of PyTorch that composer needs, which a new version of PyTorch may remove.

No other file uses private names of PyTorch. `tests/test_torch_private.py` states the purpose of each name, and fails
if PyTorch has removed it.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses import FakeTensor, FakeTensorMode
from torch._utils import IMPORT_MAPPING, NAME_MAPPING
from torch.fx.graph_module import _format_import_block
from torch.nn.modules.batchnorm import _BatchNorm as AnyBatchNorm
from torch.nn.modules.conv import _ConvNd as AnyConvolution
from torch.nn.modules.conv import _ConvTransposeNd as AnyTransposedConvolution
from torch.package.importer import sys_importer
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map


def children(module: nn.Module) -> dict[str, nn.Module | None]:
    """A module's own children by name, None for a child that is left out. A changed dict changes the module."""
    return module._modules


def parameters(module: nn.Module) -> dict[str, nn.Parameter | None]:
    """A module's own parameters by name, as `children`."""
    return module._parameters


def buffers(module: nn.Module) -> dict[str, Tensor | None]:
    """A module's own buffers by name, as `children`."""
    return module._buffers


def without_state_dict(module: nn.Module) -> set[str]:
    """Names of a module's own buffers that no state_dict holds."""
    return module._non_persistent_buffers_set


def share_parameters(module: nn.Module, other: nn.Module) -> None:
    """Make a module use the parameters of another, also after they are replaced."""
    module._parameters = other._parameters


def twin(made: type[nn.Module], of: nn.Module) -> nn.Module:
    """A new object of a class with the attributes of a module, such as hooks, buffers and mode, but without children,
    parameters and compiled forward."""
    result = made.__new__(made)
    result.__dict__.update(of.__dict__)
    result.__dict__.update(_modules={}, _parameters={}, _compiled_call_impl=None)
    return result


@contextlib.contextmanager
def without_logs() -> Iterator[None]:
    """Within it, fake tensors do not print the traceback of an error that they also raise."""
    logger = logging.getLogger("torch._subclasses.fake_tensor")
    before = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(before)


def has_hooks(module: nn.Module) -> bool:
    """Whether somebody registered a hook on a module that sees its inputs, its result or their gradients."""
    kinds = (module._forward_pre_hooks, module._forward_hooks, module._backward_pre_hooks, module._backward_hooks)
    return any(kinds)


def is_compiled(module: nn.Module) -> bool:
    """Whether a module was compiled by `torch.compile` or by its own `compile()`."""
    return "_orig_mod" in module._modules or module._compiled_call_impl is not None


def arguments_of(operation: Any) -> list[Any]:
    """The arguments of an operation of PyTorch's dispatcher, each with its name and default."""
    return list(operation._schema.arguments)


def storage_of(tensor: Tensor) -> int:
    """A number, equal for tensors that share memory, also for tensors without memory."""
    return int(tensor.untyped_storage()._cdata)


def import_lines(names: Mapping[str, Any]) -> list[str]:
    """The import lines with which generated code of torch.fx knows these objects by these names."""
    return [line for line in _format_import_block(dict(names), sys_importer).splitlines() if line]


def version_of(tensor: Tensor) -> int:
    """A number that grows whenever something writes into a tensor."""
    return int(tensor._version)


def is_transforming() -> bool:
    """Whether `torch.func` (`vmap`, `grad`, `jvp` …) or forward-mode differentiation is at work on this thread."""
    return bool(torch._C._are_functorch_transforms_active()) or torch.autograd.forward_ad._current_level >= 0


def unpickled_names() -> set[str]:
    """Full names of the objects that `torch.load` with `weights_only` accepts in a pickle."""
    return set(torch._weights_only_unpickler._get_allowed_globals())


__all__ = [
    "IMPORT_MAPPING",
    "NAME_MAPPING",
    "AnyBatchNorm",
    "AnyConvolution",
    "AnyTransposedConvolution",
    "FakeTensor",
    "FakeTensorMode",
    "TorchDispatchMode",
    "arguments_of",
    "buffers",
    "children",
    "has_hooks",
    "import_lines",
    "is_compiled",
    "is_transforming",
    "parameters",
    "share_parameters",
    "storage_of",
    "tree_leaves",
    "tree_map",
    "twin",
    "unpickled_names",
    "version_of",
    "without_logs",
    "without_state_dict",
]
