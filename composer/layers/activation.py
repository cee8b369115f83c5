"""Element-wise activations, and layers that scale, switch off or change nothing. Any shape -> the same shape."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from composer.options import PositiveFloat, Probability
from composer.registry import layer


@layer("relu", kind="activation")
class ReLU(nn.ReLU):
    """max(0, x)"""

    def __init__(self) -> None:
        super().__init__()


@layer("relu6", kind="activation")
class ReLU6(nn.ReLU6):
    """min(max(0, x), 6)"""

    def __init__(self) -> None:
        super().__init__()


@layer("leaky_relu", kind="activation")
class LeakyReLU(nn.LeakyReLU):
    """x where it is positive, negative_slope * x elsewhere"""

    def __init__(self, *, negative_slope: PositiveFloat = 0.01):
        super().__init__(negative_slope)


@layer("silu", kind="activation")
class SiLU(nn.SiLU):
    """x * sigmoid(x)"""

    def __init__(self) -> None:
        super().__init__()


@layer("gelu", kind="activation")
class GELU(nn.GELU):
    """x * Phi(x), Phi the cumulative distribution of N(0, 1); `approximate: tanh` is the cheaper formula"""

    def __init__(self, *, approximate: Literal["none", "tanh"] = "none"):
        super().__init__(approximate)


@layer("hard_swish", kind="activation")
class HardSwish(nn.Hardswish):
    """x * min(max(0, x + 3), 6) / 6"""

    def __init__(self) -> None:
        super().__init__()


@layer("hard_sigmoid", kind="activation")
class HardSigmoid(nn.Hardsigmoid):
    """min(max(0, x + 3), 6) / 6"""

    def __init__(self) -> None:
        super().__init__()


@layer("sigmoid", kind="activation")
class Sigmoid(nn.Sigmoid):
    """1 / (1 + exp(-x))"""

    def __init__(self) -> None:
        super().__init__()


@layer("identity", kind="other")
class Identity(nn.Identity):
    """x"""

    def __init__(self) -> None:
        super().__init__()


@layer("dropout", kind="other")
class Dropout(nn.Dropout):
    """In training, 0 with probability p and x / (1 - p) otherwise; in evaluation, x"""

    def __init__(self, *, p: Probability = 0.5):
        super().__init__(p)


@layer("drop_path", kind="other")
class DropPath(nn.Module):
    """In training, 0 for the whole of an example with probability p and x / (1 - p) otherwise; in evaluation, x

    Shape:   b ... -> b ...
    Source:  Huang et al., Deep Networks with Stochastic Depth, ECCV 2016. arXiv:1603.09382
    """

    def __init__(self, *, p: Probability = 0.1):
        super().__init__()
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.p == 0:
            return x
        kept = torch.empty((x.shape[0], *(1,) * (x.ndim - 1)), dtype=x.dtype, device=x.device).bernoulli_(1 - self.p)
        return x * kept / (1 - self.p) if self.p < 1 else x * kept

    def extra_repr(self) -> str:
        return f"p={self.p}"


@layer("scale", kind="other")
def scale(x: Tensor, *, factor: float) -> Tensor:
    """factor * x"""
    return x * factor
