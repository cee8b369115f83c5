"""Checks of a mechanism with other memory formats, dtypes and magnitudes."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn

from composer.contract.subject import Subject, close, require


def memory_formats(subject: Subject) -> None:
    """The output is the same for non-contiguous and channels_last inputs and weights, and channels_last is kept."""
    module, x = subject.build().eval(), subject.sample()
    expected = module(x)
    strided = torch.stack([x, x], -1)[..., 0]
    close(module(strided), expected, "a non-contiguous input gives something else")
    if x.ndim == 4:
        last = x.to(memory_format=torch.channels_last)
        close(module(last), expected, "channels_last gives something else")
        close(module.to(memory_format=torch.channels_last)(last), expected, "channels_last weights give something else")
        for training in (False, True):
            _stays_channels_last(module.train(training), last)


def _stays_channels_last(module: nn.Module, x: Tensor) -> None:
    """For a channels_last input, output and gradient of the input are channels_last."""
    gradients: list[Tensor] = []
    # A leaf's gradient always gets the memory format of the leaf, so the check needs a tensor that is no leaf.
    inner = x.detach().requires_grad_() * 1
    inner.register_hook(gradients.append)
    y = module(inner)
    require(y.is_contiguous(memory_format=torch.channels_last), "a channels_last input gives an output that is not")
    y.backward(torch.ones_like(y))
    last = all(one.is_contiguous(memory_format=torch.channels_last) for one in gradients)
    require(last, "a channels_last input gets a gradient that is not")


def half_precision(subject: Subject) -> None:
    """In bfloat16 the output is bfloat16, and output and gradients are finite."""
    for training in (False, True):
        module, x = subject.build().to(torch.bfloat16).train(training), subject.sample(dtype=torch.bfloat16)
        y = module(x.requires_grad_())
        require(y.dtype == torch.bfloat16, f"bfloat16 becomes {y.dtype}")
        y.float().square().sum().backward()
        require(y.isfinite().all(), "not finite in bfloat16")
        require(all(p.grad is not None and p.grad.isfinite().all() for p in module.parameters()), "a bfloat16 gradient")


def scales(subject: Subject) -> None:
    """Outputs and gradients that are finite in float32 are finite in bfloat16 and autocast, in eval and training."""
    for scale, training in itertools.product((1e-4, 1e-2, 1.0, 1e2, 1e4), (False, True)):
        x = subject.sample() * scale
        if not _finite(subject.build().train(training), x):
            continue
        where = f"at a scale of {scale:g}{' in training' * training}"
        with torch.autocast("cpu", torch.bfloat16):
            require(_finite(subject.build().train(training), x), f"not finite under autocast {where}")
        half = subject.build().to(torch.bfloat16).train(training)
        require(_finite(half, x.to(torch.bfloat16)), f"not finite in bfloat16 {where}")


def _finite(module: nn.Module, x: Tensor) -> bool:
    """Whether the output and every gradient are finite."""
    x = x.clone().requires_grad_()
    y = module(x)
    y.float().mean().backward()
    gradients = [one.grad for one in (x, *module.parameters()) if one.grad is not None]
    return all(bool(one.isfinite().all()) for one in (y, *gradients))
