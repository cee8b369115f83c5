"""Products with gates that follow from statistics of the map, worked through in groups of samples.

Means, maxima and sums of squares have gradients that a few passes over a group add to the gradient of the product, in
place. Only the map is kept for the backward pass, and what is temporary stays in the cache.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

import torch
from torch import Tensor
from torch.autograd import Function, grad

from composer.kernels.passes import MANY, groups, has_many_positions, in_format_of, positions, product_sum

Together = Literal["sum", "mean"] | None
# What is computed over an axis, or over all positions.
Reduction = tuple[Literal["mean", "max", "squares", "self"], int | None]


def gated_by(*reductions: Reduction, together: Together = None) -> Callable[[Any, Tensor], Tensor]:
    """A kernel: module.rescaled(x, *gates), with gates = module.excite(*module.statistics(x)): b c … -> b c …

    reductions  what `statistics` gives, in its order: the mean, the maximum or the sum of squares over an axis, or over
                all positions (None), whose axes stay, with length 1; or x itself
    together    `sum` or `mean` if `rescaled` multiplies x by the sum or mean of its gates; else any product

    `excite` makes a gate b …, or several, of the statistics, once for the whole batch, by any layers; they get the
    dtype of x. `rescaled` is the product: linear in x, sample by sample; a module without it has x * gate.
    """

    def kernel(module: Any, x: Tensor) -> Tensor:
        rescaled, met = getattr(module, "rescaled", _multiplied), Met()
        *found, again = Statistics.apply(module.statistics, reductions, rescaled, met, x)
        gates = (gate.to(x.dtype) for gate in _several(module.excite(*found)))
        result: Tensor = Product.apply(rescaled, together, met, x, again, *gates)
        return result

    return kernel


def rows_are_faster(module: Any, x: Tensor) -> bool:
    """Where the kernel is the faster one if the gates are those of rows and columns alone."""
    return has_many_positions(module, x, MANY) and not (x.dtype == torch.bfloat16 and x.is_contiguous())


class Met:
    """Where the backward pass of a product leaves its gates, for that of the statistics, which follows it.

    Without gates, the gradient that it passes on is multiplied already.
    """

    gates: tuple[Tensor, ...] = ()


class Statistics(Function):
    """x -> statistics, x. The gradient of the last is that of the product, to which the gates are applied only here.

    Nobody but `Product` may take the last.
    """

    @staticmethod
    def forward(ctx: Any, statistics: Any, reductions: Any, rescaled: Any, met: Met, x: Tensor) -> tuple[Tensor, ...]:
        ctx.set_materialize_grads(False)
        ctx.statistics, ctx.reductions, ctx.rescaled, ctx.met = statistics, reductions, rescaled, met
        found = _statistics(statistics, reductions, x)
        # Where the largest numbers are is found again by comparing.
        maxima = [one for one, (kind, _) in zip(found, reductions, strict=False) if kind == "max"]
        ctx.save_for_backward(x, *maxima)
        return (*found, x.view_as(x))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        *of, g = gradients
        x, *maxima = ctx.saved_tensors
        gates, ctx.met.gates = ctx.met.gates, ()
        if torch.is_grad_enabled():
            found = _derivative(ctx.statistics, x.view_as(x), of)
            return None, None, None, None, g if found is None else found if g is None else g + found
        y = torch.empty_like(x)
        for group in groups(x):
            here, part = y[group], x[group]
            if g is None:
                here.zero_()
            elif not gates:
                here.copy_(g[group])
            elif ctx.rescaled is _multiplied:
                torch.mul(g[group], gates[0][group], out=here)
            else:
                here.copy_(ctx.rescaled(g[group], *(gate[group] for gate in gates)))
            given = [None if one is None else one[group] for one in of]
            _add(here, ctx.reductions, part, given, iter([one[group] for one in maxima]))
        return None, None, None, None, y


class Product(Function):
    """x, x again, gates -> rescaled(x, gates), where `again` is the last result of `Statistics`, or x itself."""

    @staticmethod
    def forward(
        ctx: Any, rescaled: Any, together: Together, met: Met, x: Tensor, again: Tensor, *gates: Tensor
    ) -> Tensor:
        ctx.rescaled, ctx.together, ctx.met = rescaled, together, met
        # Not `again`, whose gradient in a second derivative would be taken for that of the product.
        ctx.save_for_backward(x, *gates)
        return rescaled(x, *gates) if rescaled is _multiplied else _in_groups(rescaled, x, *gates)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Any, ...]:
        (g,) = gradients
        x, *gates = ctx.saved_tensors
        needed = any(ctx.needs_input_grad[5:])
        if torch.is_grad_enabled():
            ctx.met.gates = ()
            again, *factors = (one.view_as(one) for one in (x, *gates))
            inputs = [one for one in (again, *factors) if one.requires_grad]
            found = iter(grad(ctx.rescaled(again, *factors), inputs, g, create_graph=True))
            return None, None, None, None, *(next(found) if one.requires_grad else None for one in (again, *factors))
        # Detached: the graph of the gates leads to `Statistics`, which would keep itself alive.
        ctx.met.gates = tuple(gate.detach() for gate in gates)
        g = in_format_of(x, g)
        return None, None, None, None, g, *(_of_gates(ctx, x, gates, g) if needed else [None for _ in gates])


def _multiplied(x: Tensor, gate: Tensor) -> Tensor:
    return x * gate


def _several(found: Tensor | Sequence[Tensor]) -> Sequence[Tensor]:
    return (found,) if isinstance(found, Tensor) else found


def _leaf(x: Tensor, group: slice) -> Tensor:
    """The samples of a group, of which the derivative is asked."""
    return x[group].detach().requires_grad_()


def _statistics(statistics: Any, reductions: Sequence[Reduction], x: Tensor) -> tuple[Tensor, ...]:
    """The statistics of the whole batch."""
    parts = list(zip(*(_several(statistics(x[group])) for group in groups(x)), strict=True))
    kinds = [kind for kind, _ in reductions]
    return tuple(x.view_as(x) if kind == "self" else torch.cat(part) for kind, part in zip(kinds, parts, strict=False))


def _in_groups(formula: Callable[..., Tensor], x: Tensor, *others: Tensor) -> Tensor:
    """formula(x, *others), in the shape, dtype and strides of x."""
    y = torch.empty_like(x)
    for group in groups(x):
        y[group] = formula(x[group], *(one[group] for one in others))
    return y


def _of_gates(ctx: Any, x: Tensor, gates: Sequence[Tensor], g: Tensor) -> list[Tensor]:
    """The gradients of the gates, from that of the product."""
    single = ctx.rescaled is _multiplied
    if single and gates[0].shape[:2] == x.shape[:2] and gates[0][0, 0].numel() == 1:
        return [product_sum(g, x)]
    parts: list[Sequence[Tensor]] = []
    for group in groups(x):
        if single or ctx.together:
            product = g[group] * x[group]
            share = 1 / len(gates) if ctx.together == "mean" else 1
            parts.append([product.sum_to_size(gate[group].shape) * share for gate in gates])
            continue
        leaves = [_leaf(gate, group) for gate in gates]
        with torch.enable_grad():
            made = ctx.rescaled(x[group], *leaves)
        parts.append(grad(made, leaves, g[group]))
    return [torch.cat(part) for part in zip(*parts, strict=True)]


def _derivative(statistics: Any, x: Tensor, of: Sequence[Tensor | None]) -> Tensor | None:
    """PyTorch's own gradient of x from those of its statistics, for second derivatives."""
    with torch.enable_grad():
        found = _several(statistics(x))
    pairs = [(one, gradient) for one, gradient in zip(found, of, strict=True) if gradient is not None]
    if not pairs:
        return None
    made, given = zip(*pairs, strict=True)
    return grad(made, x, given, create_graph=True)[0]


def _add(
    y: Tensor, reductions: Sequence[Reduction], x: Tensor, of: Sequence[Tensor | None], maxima: Iterator[Tensor]
) -> None:
    """Add to y the gradients of x from those of its reductions."""
    # With some options a module has only the first of its statistics.
    for (kind, axis), gradient in zip(reductions, of, strict=False):
        axes = positions(x) if axis is None else (axis,)
        largest = next(maxima) if kind == "max" else x
        if gradient is None:
            continue
        if kind == "self":
            y += gradient
        elif kind == "mean":
            y += gradient / math.prod(x.shape[one] for one in axes)
        elif kind == "squares":
            y.addcmul_(x, (2 * gradient).to(x.dtype))
        else:
            # Ones in the dtype of x: truth values are several times slower. Equal maxima share the gradient.
            where = torch.eq(x, largest, out=torch.empty_like(x))
            count = where.sum(axes, keepdim=True, dtype=torch.promote_types(x.dtype, torch.float32))
            y += where.mul_((gradient / count).to(x.dtype))
