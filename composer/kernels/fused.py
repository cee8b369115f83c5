"""The decorator that gives a method a kernel, and the conditions under which the kernel runs."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from composer.kernels.choice import wants_reference
from composer.torch_private import FakeTensor, is_transforming

Method = TypeVar("Method", bound=Callable[..., Any])
# Whether kernels run on fake tensors too.
_ON_FAKE = ContextVar("on_fake", default=False)
DTYPES = (torch.float32, torch.float64, torch.bfloat16)


def fused(
    kernel: Callable[..., Any],
    *,
    where: Callable[..., bool] = lambda module, *tensors: True,
    inherited: bool = False,
    in_inference: bool = False,
) -> Callable[[Method], Method]:
    """Let a method run a kernel in place of its body, which stays its meaning: the plain formula.

    kernel        called like the method: module, then tensors; gives the same values and gradients
    where         called like the method: whether the kernel is the faster one for tensors of these shapes
    inherited     whether it may run for subclasses too: the kernel calls nothing of the module that they could override
    in_inference  whether it is the faster one without a backward pass too, or to tensors that need no gradient

    The body runs wherever something else than eager PyTorch looks on or takes part: compilers, exporters, tracers,
    `torch.func`, autocast, fake tensors and other subclasses, devices other than the CPU; for subclasses of the class,
    unless the kernel is `inherited`; without gradients, unless it is for `in_inference` too; where `where` says no; and
    for modules with `kernels = "reference"`.
    """

    def decorate(method: Method) -> Method:
        @functools.wraps(method)
        def forward(self: nn.Module, *tensors: Tensor) -> Any:
            # First, because compilers take it for a constant and never see the kernel.
            if (
                not torch.compiler.is_compiling()
                and (in_inference or torch.is_grad_enabled())
                and _owns(self, forward, inherited)
                and may_run(self, tensors)
                and (in_inference or any(tensor.requires_grad for tensor in tensors))
                and where(self, *tensors)
            ):
                return kernel(self, *tensors)
            return method(self, *tensors)

        forward.kernel, forward.inherited = kernel, inherited  # type: ignore[attr-defined]
        return forward  # type: ignore[return-value]

    return decorate


def _owns(module: nn.Module, method: Callable[..., Any], inherited: bool) -> bool:
    """Whether the method stands in the very class of the module, or may be inherited by it."""
    return inherited or vars(type(module)).get(method.__name__) is method


def may_run(module: nn.Module, tensors: tuple[Any, ...]) -> bool:
    """Whether a kernel gives for these tensors what the plain formula gives, to whoever looks on."""
    return (
        # First, because a tracer records the questions about tensors that follow.
        not torch.jit.is_tracing()  # type: ignore[attr-defined, no-untyped-call]
        and all(map(_is_plain, tensors))
        and len({tensor.dtype for tensor in tensors}) == 1
        and not wants_reference(module)
        and not torch.is_autocast_enabled("cpu")
        and not is_transforming()
    )


@contextlib.contextmanager
def on_fake_tensors() -> Iterator[None]:
    """Within it kernels run on fake tensors too, for whoever counts what they keep for the backward pass."""
    token = _ON_FAKE.set(True)
    try:
        yield
    finally:
        _ON_FAKE.reset(token)


def _is_plain(tensor: Any) -> bool:
    """Whether it is a tensor of numbers on the CPU, no fake one and no proxy, with something in it."""
    return (
        (type(tensor) is Tensor or (type(tensor) is FakeTensor and _ON_FAKE.get()))
        and tensor.device.type == "cpu"
        and tensor.layout is torch.strided
        and tensor.dtype in DTYPES
        and tensor.numel() > 0
    )
