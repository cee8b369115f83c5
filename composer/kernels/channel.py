"""Gates of channels by their means: y = x * gate(mean(x)), and sums of such products over branches."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from composer.kernels.passes import groups, in_format_of, mean, positions, product_sum, scaled

Gates = Sequence[Tensor]


def gated_by_mean(module: Any, x: Tensor) -> Tensor:
    """x * module.excite(mean(x)): b c … -> b c …, with `excite`: b c 1 … -> b c 1 …

    The backward pass needs x, the gate, and what `excite` keeps. It reads x once, for the gradient of the gate, and
    adds that of the mean in the pass that multiplies by the gate.
    """
    return _gated([x], None, lambda mean: [module.excite(mean)])


def gated_by_fine_mean(module: Any, x: Tensor) -> Tensor:
    """As `gated_by_mean`, with a mean in at least float32; the gate then has the dtype of x."""
    return _gated([x], torch.promote_types(x.dtype, torch.float32), lambda mean: [module.excite(mean).to(x.dtype)])


def selected_by_mean(module: Any, *branches: Tensor) -> Tensor:
    """sum_l x_l * a_l with a = module.excite(mean(sum_l x_l)): b c h w each -> b c h w; `excite`: b c 1 1 -> b l c 1 1

    The backward pass is that of `gated_by_mean` for each branch.
    """
    return _gated(branches, None, lambda mean: module.excite(mean).to(branches[0].dtype).unbind(1))


def _gated(x: Sequence[Tensor], dtype: torch.dtype | None, excite: Callable[[Tensor], Gates]) -> Tensor:
    met = Met()
    pooled, *again = Pooled.apply(dtype, met, *x)
    gates = excite(pooled)
    if gates[0].dtype != x[0].dtype:
        # Weights of another precision. PyTorch's own product leaves no gate.
        return again[0] * gates[0]
    result: Tensor = Gated.apply(met, *x, *again, *gates)
    return result


def _mean_of_sum(x: Sequence[Tensor], dtype: torch.dtype | None) -> Tensor:
    """As the plain formulas have it; in half precision, where a sum of maps loses digits, of the means."""
    if x[0].dtype not in (torch.float16, torch.bfloat16):
        return mean(sum(x[1:], x[0]), dtype)
    first, *others = (mean(one, dtype) for one in x)
    return sum(others, first)


def _sum_of_products(x: Sequence[Tensor], gates: Gates) -> Tensor:
    if len(x) == 1:
        return x[0] * gates[0]
    y = torch.empty_like(x[0])
    for group in groups(y):
        here = torch.mul(x[0][group], gates[0][group], out=y[group])
        for one, gate in zip(x[1:], gates[1:], strict=True):
            here += one[group] * gate[group]
    return y


class Met:
    """Where the backward pass of the products leaves their gates, for that of the means, which follows it.

    Without gates, the gradients that it passes on are multiplied already.
    """

    gates: Gates = ()


class Pooled(Function):
    """x … -> the mean of their sum, x …. The gradients of the latter are multiplied by the gates only here.

    Nobody but `Gated` may take the latter.
    """

    @staticmethod
    def forward(ctx: Any, dtype: torch.dtype | None, met: Met, *x: Tensor) -> tuple[Tensor, ...]:
        ctx.set_materialize_grads(False)
        ctx.met, ctx.shape, ctx.dtype = met, x[0].shape, x[0].dtype
        return _mean_of_sum(x, dtype), *(one.view_as(one) for one in x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        of_mean, *of_products = gradients
        gates: Sequence[Tensor | None] = ctx.met.gates or [None for _ in of_products]
        ctx.met.gates = ()
        each = None if of_mean is None else of_mean / math.prod(ctx.shape[2:])
        return None, None, *(_of_branch(ctx, each, g, gate) for g, gate in zip(of_products, gates, strict=True))


def _of_branch(ctx: Any, each: Tensor | None, g: Tensor | None, gate: Tensor | None) -> Tensor | None:
    """The gradient of a branch, from that of its mean's positions and that of its product, which may lack the gate."""
    if each is None:
        return g if g is None or gate is None else g * gate
    if g is None:
        return each.to(ctx.dtype).expand(ctx.shape)
    return g + each.to(ctx.dtype) if gate is None else scaled(g, gate, each)


class Gated(Function):
    """x …, x … again, gates … -> the sum of x * gate, where those again are the last results of `Pooled`."""

    @staticmethod
    def forward(ctx: Any, met: Met, *given: Tensor) -> Tensor:
        ctx.met, count = met, len(given) // 3
        x, gates = given[:count], given[2 * count :]
        # Not those again, whose gradients in a second derivative would be taken for those of the products.
        ctx.save_for_backward(*x, *gates)
        return _sum_of_products(x, gates)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (g,) = gradients
        saved = ctx.saved_tensors
        count = len(saved) // 2
        x, gates = saved[:count], saved[count:]
        nothing = (None,) * count
        needed = any(ctx.needs_input_grad[-count:])
        if torch.is_grad_enabled():
            # For second derivatives, in operations that have them.
            ctx.met.gates = ()
            sums = [(g * one).sum(positions(one), keepdim=True) for one in x] if needed else nothing
            return None, *nothing, *(g * gate for gate in gates), *sums
        # Detached: the graph of the gates leads to `Pooled`, which would keep itself alive.
        ctx.met.gates = tuple(gate.detach() for gate in gates)
        alike = [in_format_of(one, g) for one in x]
        sums = [product_sum(*two) for two in zip(alike, x, strict=True)] if needed else nothing
        return None, *nothing, *alike, *sums
