"""Modules that change over training, such as dynamic convolution with its temperature."""

from __future__ import annotations

from typing import Protocol, cast, runtime_checkable

from torch import Tensor, nn


class Annealed(Protocol):
    """A module with a value that depends on the epoch. Keep the value in a buffer, so that checkpoints contain it."""

    def anneal(self, epoch: float) -> float:
        """Set the value for an epoch, from 0, possibly a fraction; return the new value."""
        ...


@runtime_checkable
class Tempered(Annealed, Protocol):
    """An annealed module with a softmax over its experts: `anneal` sets its temperature, a buffer of one number.

    `composer.look` shows the effect of the temperature on the experts.
    """

    temperature: Tensor


def anneal(model: nn.Module, *, epoch: float) -> dict[str, float]:
    """Set every annealed module of a model to an epoch; return path -> new value.

    model  any module
    epoch  counted from 0; call before each epoch, or before each step with a fraction of the epoch

    Raises ValueError for a negative epoch.

    >>> from composer.mechanisms.kernel.dynconv import DynamicConv
    >>> anneal(nn.Sequential(DynamicConv(8, 8)), epoch=5)
    {'0': 15.5}
    """
    if not epoch >= 0:
        raise ValueError(f"epoch={epoch} is negative; epochs count from 0")
    # Asked of the class: a child may be named `anneal`, and a compiled module forwards attributes of the module inside.
    found = [(path, one) for path, one in model.named_modules() if callable(getattr(type(one), "anneal", None))]
    return {path: cast(Annealed, module).anneal(epoch) for path, module in found}
