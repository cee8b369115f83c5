"""Element-wise activations, and layers that scale, drop out or change nothing. Any shape -> the same shape."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
import torch.fx
from torch import Tensor, nn

from composer.layers.axis import check_axis
from composer.layers.linear import channels_last_layout
from composer.options import PositiveFloat, PositiveInt, Probability
from composer.registry import layer


@layer("relu", kind="activation", draws=False)
def relu() -> nn.ReLU:
    """max(0, x)"""
    return nn.ReLU()


@layer("relu6", kind="activation", draws=False)
def relu6() -> nn.ReLU6:
    """min(max(0, x), 6)"""
    return nn.ReLU6()


@layer("leaky_relu", kind="activation", draws=False)
def leaky_relu(*, negative_slope: PositiveFloat = 0.01) -> nn.LeakyReLU:
    """x where it is positive, negative_slope * x elsewhere"""
    return nn.LeakyReLU(negative_slope)


@layer("silu", kind="activation", draws=False)
def silu() -> nn.SiLU:
    """x * sigmoid(x)"""
    return nn.SiLU()


@layer("gelu", kind="activation", draws=False)
def gelu(*, approximate: Literal["none", "tanh"] = "none") -> nn.GELU:
    """x * Phi(x), Phi the cumulative distribution of N(0, 1); `approximate: tanh` is the cheaper formula"""
    return nn.GELU(approximate)


@layer("hard_swish", kind="activation", draws=False)
def hard_swish() -> nn.Hardswish:
    """x * min(max(0, x + 3), 6) / 6"""
    return nn.Hardswish()


@layer("hard_sigmoid", kind="activation", draws=False)
def hard_sigmoid() -> nn.Hardsigmoid:
    """min(max(0, x + 3), 6) / 6"""
    return nn.Hardsigmoid()


@layer("sigmoid", kind="activation", draws=False)
def sigmoid() -> nn.Sigmoid:
    """1 / (1 + exp(-x))"""
    return nn.Sigmoid()


@layer("tanh", kind="activation", draws=False)
def tanh() -> nn.Tanh:
    """(exp(x) - exp(-x)) / (exp(x) + exp(-x))"""
    return nn.Tanh()


def _prelu_layout(inputs: Sequence[Any], *, num_parameters: int = 1, init: float = 0.25) -> str | None:
    layout: str | None = inputs[0].layout
    if num_parameters > 1 and ((layout or "").split()[1:2] != ["c"] or inputs[0].channels != num_parameters):
        raise ValueError(
            f"`prelu` with {num_parameters} parameters works on {num_parameters} channels as the second axis, found "
            f"{inputs[0]} (`{layout}`); set num_parameters to 1, or to the channels of a map"
        )
    return layout


@layer("prelu", kind="activation", layout=_prelu_layout, draws=False)
def prelu(*, num_parameters: PositiveInt = 1, init: float = 0.25) -> nn.PReLU:
    """x where it is positive, a x elsewhere; a is learnt

    Params:  num_parameters: 1, or c for one per channel of b c h w or b c
    Source:  He et al., Delving Deep into Rectifiers, ICCV 2015, sec. 2.1. arXiv:1502.01852

    `init` is a at the start.
    """
    return nn.PReLU(num_parameters, init)


def _softmax_layout(inputs: Sequence[Any], *, dim: int = -1) -> str | None:
    check_axis("softmax", inputs[0], dim)
    layout: str | None = inputs[0].layout
    return layout


@layer("softmax", kind="activation", layout=_softmax_layout)
def softmax(*, dim: int = -1) -> nn.Softmax:
    """exp(x) divided by its sum along the axis `dim`, counted from 0; the last axis unless given"""
    return nn.Softmax(dim)


@layer("identity", kind="other", draws=False)
def identity() -> nn.Identity:
    """x"""
    return nn.Identity()


@layer("dropout", kind="other", draws=False)
def dropout(*, p: Probability = 0.5) -> nn.Dropout:
    """In training, 0 with probability p and x / (1 - p) otherwise; in evaluation, x"""
    return nn.Dropout(p)


@layer("drop_path", kind="other", draws=False)
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


@layer("layer_scale", kind="other", layout=channels_last_layout, draws=False)
class LayerScale(nn.Module):
    """A learnable factor per channel (the last axis), small at the start.

    Shape:   ... c -> ... c
    Params:  c
    Source:  Touvron et al., Going Deeper with Image Transformers, ICCV 2021, sec. 2. arXiv:2103.17239

    `init_values` is every factor at the start. `layer_scale_2d` is the same for b c h w.
    """

    def __init__(self, channels: int, *, init_values: float = 1e-5):
        super().__init__()
        self.gamma = nn.Parameter(torch.full((channels,), init_values))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gamma

    def extra_repr(self) -> str:
        return f"{self.gamma.shape[0]}"


@layer("layer_scale_2d", kind="other", layout="b c h w -> b c h w", draws=False)
class LayerScale2d(LayerScale):
    """A learnable factor per channel of a feature map, small at the start.

    Shape:   b c h w -> b c h w
    Params:  c
    Source:  Touvron et al., Going Deeper with Image Transformers, ICCV 2021, sec. 2. arXiv:2103.17239
    """

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gamma.view(1, -1, 1, 1)


def _scale_code(names: list[str], inputs: Sequence[Any], *, factor: float) -> str:
    return f"{names[0]} * {factor!r}"


@layer("scale", kind="other", code=_scale_code)
def scale(x: Tensor, *, factor: float) -> Tensor:
    """factor * x"""
    return x * factor
