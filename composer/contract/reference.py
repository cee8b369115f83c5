"""Whether a mechanism computes what its plain formula does."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from composer.contract.subject import Failure, Refusal, Subject, close, require, shake

SIZES = ((7, 7), (13, 17), (4, 10))
TOLERANCE = 1e-4


def agrees(subject: Subject) -> None:
    """Output and every gradient, in eval mode, are those of its reference, on maps of several sizes."""
    refused = []
    for height, width in SIZES:
        try:
            module = subject.build(height, width).eval()
        except Refusal as refusal:
            refused.append(str(refusal))
            continue
        shake(module)
        x = subject.sample(2, height, width)
        (found, names), (expected, _) = _run(module, module, x), _run(*_reference(subject, module, height, width), x)
        require(len(found) == len(expected), "it has other parameters than its reference")
        for name, one, other in zip(names, found, expected, strict=True):
            require(one.shape == other.shape, f"{name} is {tuple(one.shape)}, its reference has {tuple(other.shape)}")
            close(one, other, f"{name} is not that of its reference on a map of {height}×{width}", TOLERANCE)
    if len(refused) == len(SIZES):
        raise Refusal("; ".join(refused))


def _reference(subject: Subject, module: nn.Module, height: int, width: int) -> tuple[Callable[..., Tensor], nn.Module]:
    """The reference as a function of the input, and whose parameters it computes with."""
    reference = subject.entry.reference
    assert reference is not None
    if not isinstance(reference, type):
        return lambda x: reference(module, x), module
    other = subject.build(height, width, reference).eval()
    try:
        other.load_state_dict(module.state_dict(), strict=True)
    except RuntimeError as error:
        raise Failure(f"its reference has another state_dict: {error}") from error
    return other, other


def _run(function: Callable[..., Tensor], module: nn.Module, x: Tensor) -> tuple[list[Tensor], list[str]]:
    """The output, and the gradients of the input and of the module's parameters, each with its name in words."""
    x = x.clone().requires_grad_()
    names, parameters = zip(("the input", x), *module.named_parameters(), strict=True)
    y = function(x)
    weights = torch.randn(y.shape, generator=torch.Generator().manual_seed(2)).to(y.dtype)
    gradients = torch.autograd.grad((y * weights).sum(), parameters, allow_unused=True, materialize_grads=True)
    return [y.detach(), *gradients], ["the output", *(f"the gradient of {name}" for name in names)]
