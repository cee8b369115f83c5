"""Lets the checks, which give a mechanism one tensor, run a mechanism that takes several."""

from __future__ import annotations

from torch import Tensor, nn


class WithOthers(nn.Module):
    """A mechanism of several tensors that is called with the first: the others are made from it, sample by sample."""

    def __init__(self, mechanism: nn.Module, others: int) -> None:
        super().__init__()
        self.mechanism = mechanism
        self.count = others

    def others(self, x: Tensor) -> list[Tensor]:
        """The other tensors, of the shape of the first."""
        return [x.flip(1) * (number + 1) / 2 for number in range(self.count)]

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.mechanism(x, *self.others(x))
        return y


class WithOthersAndAttention(WithOthers):
    """The same for a mechanism that has attention values."""

    def attention(self, x: Tensor) -> Tensor:
        """The values of the mechanism."""
        values: Tensor = self.mechanism.attention(x, *self.others(x))  # type: ignore[operator]
        return values


def with_others(mechanism: nn.Module, others: int) -> nn.Module:
    """The mechanism itself if it takes one tensor, or as one that takes one."""
    if not others:
        return mechanism
    return (WithOthersAndAttention if hasattr(mechanism, "attention") else WithOthers)(mechanism, others)
