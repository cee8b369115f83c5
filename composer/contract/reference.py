"""Compares a mechanism with its plain formula."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from composer.contract.others import WithOthers
from composer.contract.subject import Failure, Refusal, Subject, close, require, shake

TOLERANCE = 1e-4


def agrees(subject: Subject) -> None:
    """In eval mode, output and gradients are close to those of its reference, on maps of several sizes."""
    if (reference := subject.entry.reference) is None:
        raise Refusal("it declares no `reference`")
    for height, width, module in subject.on_sizes():
        shake(module)
        x = subject.sample(2, height, width)
        found, expected = _values(module, module, x), _values(*_made(reference, subject, module, height, width), x)
        require(found.keys() == expected.keys(), "it has other parameters than its reference")
        for name, value in found.items():
            wanted = expected[name]
            require(value.shape == wanted.shape, f"{name} is {tuple(value.shape)}, not {tuple(wanted.shape)}")
            close(value, wanted, f"{name} is not that of its reference on a map of {height}×{width}", TOLERANCE)


def _made(
    reference: Callable[..., Any], subject: Subject, module: nn.Module, height: int, width: int
) -> tuple[Callable[..., Tensor], nn.Module]:
    """The reference as a function of the input, and the module whose parameters it uses."""
    if not isinstance(reference, type):
        if isinstance(module, WithOthers):
            return lambda x: reference(module.mechanism, x, *module.others(x)), module
        return lambda x: reference(module, x), module
    other = subject.build(height, width, reference).eval()
    try:
        other.load_state_dict(module.state_dict(), strict=True)
    except RuntimeError as error:
        raise Failure(f"its reference has another state_dict: {error}") from error
    return other, other


def _values(function: Callable[..., Tensor], module: nn.Module, x: Tensor) -> dict[str, Tensor]:
    """The output, and the gradients of the input and of the module's parameters, by name."""
    x = x.clone().requires_grad_()
    wanted = {"the input": x, **dict(module.named_parameters())}
    y = function(x)
    weights = torch.randn(y.shape, generator=torch.Generator().manual_seed(2)).to(y.dtype)
    gradients = torch.autograd.grad(
        (y * weights).sum(), list(wanted.values()), allow_unused=True, materialize_grads=True
    )
    named = zip(wanted, gradients, strict=True)
    return {"the output": y.detach(), **{f"the gradient of {name}": one for name, one in named}}
