"""Modules that change over training, such as the temperature of dynamic convolution."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from torch import nn


@runtime_checkable
class Annealed(Protocol):
    """A module with something that follows the epochs. Its state belongs in buffers, so that checkpoints keep it."""

    def anneal(self, epoch: float) -> float:
        """Set it for an epoch, counted from 0 and not always whole; return its new value."""
        ...


def anneal(model: nn.Module, *, epoch: float) -> dict[str, float]:
    """Bring every annealed module of a model to an epoch; returns their new values by path.

    Call it before each epoch, or before each step with a fraction of the epoch. Raises ValueError for a negative epoch.

    >>> from composer.mechanisms.dynconv import DynamicConv
    >>> anneal(nn.Sequential(DynamicConv(8, 8)), epoch=5)
    {'0': 15.5}
    """
    if not epoch >= 0:
        raise ValueError(f"epoch={epoch} is negative; epochs count from 0")
    return {path: module.anneal(epoch) for path, module in model.named_modules() if isinstance(module, Annealed)}
