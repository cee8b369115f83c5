"""Whether a network's mechanisms run their kernels or their plain formulas."""

from __future__ import annotations

from typing import Any, Literal, get_args

from torch import nn

Kernels = Literal["fused", "reference"]
KERNELS: tuple[Kernels, ...] = get_args(Kernels)

# Of a module, as an attribute: copies and pickles of it keep the choice.
ATTRIBUTE = "kernels"


def set_kernels(model: nn.Module, kernels: Kernels) -> None:
    """Make every mechanism inside a module run its kernels where it can, or always its plain formulas.

    model    any module; those without kernels stay as they are
    kernels  `fused` or `reference`
    """
    for module in model.modules():
        if has_kernel(type(module)):
            setattr(module, ATTRIBUTE, kernels)


def has_kernel(kind: type[Any]) -> bool:
    """Whether a class has a method with a kernel: of its own, or one that may be inherited."""
    own = any(hasattr(method, "kernel") for method in vars(kind).values())
    return own or any(getattr(method, "inherited", False) for base in kind.__mro__ for method in vars(base).values())


def wants_reference(module: Any) -> bool:
    """Whether the plain formula was chosen for a module."""
    return bool(vars(module).get(ATTRIBUTE) == "reference")
