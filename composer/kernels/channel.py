"""Gates of channels: y = x * gate(mean(x)), where a small network makes the gate of the pooled input."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from composer.kernels.passes import in_format_of, mean, positions, product_sum, scaled


def gated_by_mean(module: Any, x: Tensor) -> Tensor:
    """x * module.excite(mean(x)): b c … -> b c …, with `excite`: b c 1 … -> b c 1 …

    The backward pass needs x, the gate, and what `excite` keeps. It reads x once, for the gradient of the gate, and
    adds that of the mean in the pass that multiplies by the gate.
    """
    return _gated(x, None, module.excite)


def gated_by_fine_mean(module: Any, x: Tensor) -> Tensor:
    """As `gated_by_mean`, with a mean in at least float32; the gate then has the dtype of x."""
    return _gated(x, torch.promote_types(x.dtype, torch.float32), module.excite)


def _gated(x: Tensor, dtype: torch.dtype | None, excite: Any) -> Tensor:
    if not (torch.is_grad_enabled() and x.requires_grad):
        gate = excite(mean(x, dtype))
        return x * (gate if dtype is None else gate.to(x.dtype))
    met = Met()
    pooled, again = Pooled.apply(x, dtype, met)
    gate = excite(pooled) if dtype is None else excite(pooled).to(x.dtype)
    if gate.dtype != x.dtype:
        # Weights of another precision. PyTorch's own product leaves no gate.
        return again * gate
    result: Tensor = Gated.apply(x, again, gate, met)
    return result


class Met:
    """Where the backward pass of a product leaves its gate, for that of the mean, which follows it.

    Without a gate, the gradient that it passes on is multiplied already.
    """

    gate: Tensor | None = None


class Pooled(Function):
    """x -> mean(x), x. The gradient of the second is that of the product, which is multiplied by the gate only here.

    Nobody but `Gated` may take the second.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, dtype: torch.dtype | None, met: Met) -> tuple[Tensor, Tensor]:
        ctx.set_materialize_grads(False)
        ctx.met, ctx.shape, ctx.dtype = met, x.shape, x.dtype
        return mean(x, dtype), x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, None, None]:
        of_mean, g = gradients
        gate, ctx.met.gate = ctx.met.gate, None
        if of_mean is None:
            return g if g is None or gate is None else g * gate, None, None
        each = of_mean / math.prod(ctx.shape[2:])
        if g is None:
            return each.to(ctx.dtype).expand(ctx.shape), None, None
        return g + each.to(ctx.dtype) if gate is None else scaled(g, gate, each), None, None


class Gated(Function):
    """x, x again, gate -> x * gate, where `again` is the second result of `Pooled`."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, again: Tensor, gate: Tensor, met: Met) -> Tensor:
        ctx.met = met
        # Not `again`, whose gradient in a second derivative would be taken for that of the product.
        ctx.save_for_backward(x, gate)
        return x * gate

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, Tensor, Tensor | None, None]:
        (g,) = gradients
        x, gate = ctx.saved_tensors
        needed = ctx.needs_input_grad[2]
        if torch.is_grad_enabled():
            # For second derivatives, in operations that have them.
            ctx.met.gate = None
            return None, g * gate, (g * x).sum(positions(x), keepdim=True) if needed else None, None
        # Detached: the gate's graph leads to `Pooled`, which would keep itself alive.
        ctx.met.gate = gate.detach()
        g = in_format_of(x, g)
        return None, g, product_sum(g, x) if needed else None, None
