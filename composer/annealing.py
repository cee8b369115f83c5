"""Modules that change over training, such as the temperature of dynamic convolution."""

from __future__ import annotations

from typing import Protocol, cast, runtime_checkable

from torch import Tensor, nn


class Annealed(Protocol):
    """A module with something that follows the epochs. Its state belongs in buffers, so that checkpoints keep it."""

    def anneal(self, epoch: float) -> float:
        """Set it for an epoch, counted from 0 and not always whole; return its new value."""
        ...


@runtime_checkable
class Tempered(Annealed, Protocol):
    """One whose `anneal` sets the temperature that a softmax over its experts is divided by: a buffer of one number.

    `composer.look` shows what it does to them.
    """

    temperature: Tensor


def anneal(model: nn.Module, *, epoch: float) -> dict[str, float]:
    """Bring every annealed module of a model to an epoch; returns their new values by path.

    Call it before each epoch, or before each step with a fraction of the epoch. Raises ValueError for a negative epoch.

    >>> from composer.mechanisms.dynconv import DynamicConv
    >>> anneal(nn.Sequential(DynamicConv(8, 8)), epoch=5)
    {'0': 15.5}
    """
    if not epoch >= 0:
        raise ValueError(f"epoch={epoch} is negative; epochs count from 0")
    # Of the class: a child may be called `anneal`, and a compiled module hands on the names of what it holds.
    found = [(path, one) for path, one in model.named_modules() if callable(getattr(type(one), "anneal", None))]
    return {path: cast(Annealed, module).anneal(epoch) for path, module in found}
