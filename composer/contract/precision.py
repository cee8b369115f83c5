"""A mechanism under other memory formats, dtypes and magnitudes."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn

from composer.contract.subject import Subject, close


def memory_formats(subject: Subject) -> None:
    """Strides change nothing: non-contiguous and channels_last inputs, channels_last weights."""
    module, x = subject.build().eval(), subject.sample()
    expected = module(x)
    strided = torch.stack([x, x], -1)[..., 0]
    close(module(strided), expected, "a non-contiguous input gives something else")
    if x.ndim == 4:
        last = x.to(memory_format=torch.channels_last)
        close(module(last), expected, "channels_last gives something else")
        close(module.to(memory_format=torch.channels_last)(last), expected, "channels_last weights give something else")


def half_precision(subject: Subject) -> None:
    """In bfloat16 it stays bfloat16 and finite, with its gradients."""
    for training in (False, True):
        module, x = subject.build().to(torch.bfloat16).train(training), subject.sample(dtype=torch.bfloat16)
        y = module(x.requires_grad_())
        assert y.dtype == torch.bfloat16, f"bfloat16 becomes {y.dtype}"
        y.float().square().sum().backward()
        assert y.isfinite().all(), "not finite in bfloat16"
        assert all(p.grad is not None and p.grad.isfinite().all() for p in module.parameters()), "a bfloat16 gradient"


def scales(subject: Subject) -> None:
    """Where float32 is finite, bfloat16 and autocast are: outputs and gradients, in eval and in training."""
    for scale, training in itertools.product((1e-4, 1e-2, 1.0, 1e2, 1e4), (False, True)):
        x = subject.sample() * scale
        if not _finite(subject.build().train(training), x):
            continue
        where = f"at a scale of {scale:g}{' in training' * training}"
        with torch.autocast("cpu", torch.bfloat16):
            assert _finite(subject.build().train(training), x), f"not finite under autocast {where}"
        half = subject.build().to(torch.bfloat16).train(training)
        assert _finite(half, x.to(torch.bfloat16)), f"not finite in bfloat16 {where}"


def _finite(module: nn.Module, x: Tensor) -> bool:
    """Whether the output and every gradient are."""
    x = x.clone().requires_grad_()
    y = module(x)
    y.float().mean().backward()
    gradients = [one.grad for one in (x, *module.parameters()) if one.grad is not None]
    return all(bool(one.isfinite().all()) for one in (y, *gradients))
