"""Element-wise activations, and layers that scale, drop out or change nothing. Any shape -> the same shape."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
import torch.fx
from torch import Tensor, nn

from composer.options import PositiveFloat, Probability
from composer.registry import layer


@layer("relu", kind="activation")
def relu() -> nn.ReLU:
    """max(0, x)"""
    return nn.ReLU()


@layer("relu6", kind="activation")
def relu6() -> nn.ReLU6:
    """min(max(0, x), 6)"""
    return nn.ReLU6()


@layer("leaky_relu", kind="activation")
def leaky_relu(*, negative_slope: PositiveFloat = 0.01) -> nn.LeakyReLU:
    """x where it is positive, negative_slope * x elsewhere"""
    return nn.LeakyReLU(negative_slope)


@layer("silu", kind="activation")
def silu() -> nn.SiLU:
    """x * sigmoid(x)"""
    return nn.SiLU()


@layer("gelu", kind="activation")
def gelu(*, approximate: Literal["none", "tanh"] = "none") -> nn.GELU:
    """x * Phi(x), Phi the cumulative distribution of N(0, 1); `approximate: tanh` is the cheaper formula"""
    return nn.GELU(approximate)


@layer("hard_swish", kind="activation")
def hard_swish() -> nn.Hardswish:
    """x * min(max(0, x + 3), 6) / 6"""
    return nn.Hardswish()


@layer("hard_sigmoid", kind="activation")
def hard_sigmoid() -> nn.Hardsigmoid:
    """min(max(0, x + 3), 6) / 6"""
    return nn.Hardsigmoid()


@layer("sigmoid", kind="activation")
def sigmoid() -> nn.Sigmoid:
    """1 / (1 + exp(-x))"""
    return nn.Sigmoid()


@layer("identity", kind="other")
def identity() -> nn.Identity:
    """x"""
    return nn.Identity()


@layer("dropout", kind="other")
def dropout(*, p: Probability = 0.5) -> nn.Dropout:
    """In training, 0 with probability p and x / (1 - p) otherwise; in evaluation, x"""
    return nn.Dropout(p)


@layer("drop_path", kind="other")
class DropPath(nn.Module):
    """In training, 0 for a whole example with probability p and x / (1 - p) otherwise; in evaluation, x

    Shape:   b ... -> b ...
    Source:  Huang et al., Deep Networks with Stochastic Depth, ECCV 2016. arXiv:1603.09382
    """

    def __init__(self, *, p: Probability = 0.1):
        super().__init__()
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        return _drop_examples(x, self.p) if self.training and self.p > 0 else x

    def extra_repr(self) -> str:
        return f"p={self.p}"


def _drop_examples(x: Tensor, p: float) -> Tensor:
    kept = torch.empty((x.shape[0], *(1,) * (x.ndim - 1)), dtype=x.dtype, device=x.device).bernoulli_(1 - p)
    return x * kept / (1 - p) if p < 1 else x * kept


# Not traced: the number of axes is not known in a symbolic trace.
torch.fx.wrap("_drop_examples")


def _scale_code(names: list[str], inputs: Sequence[Any], *, factor: float) -> str:
    return f"{names[0]} * {factor!r}"


@layer("scale", kind="other", code=_scale_code)
def scale(x: Tensor, *, factor: float) -> Tensor:
    """factor * x"""
    return x * factor
