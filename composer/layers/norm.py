"""Normalisations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from composer.layers.axis import check_axis
from composer.layers.linear import channels_last_layout
from composer.options import PositiveFloat, PositiveInt, Probability
from composer.registry import MAPS, layer

_BATCH_NORMS: dict[int, type[nn.BatchNorm1d] | type[nn.BatchNorm2d] | type[nn.BatchNorm3d]]
_BATCH_NORMS = {0: nn.BatchNorm1d, 1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}


def _batch_normed_layout(inputs: Sequence[Any], **options: Any) -> str:
    found = inputs[0].layout
    if found not in ("b c", *MAPS):
        known = ", ".join(f"`{layout}`" for layout in (*MAPS, "b c"))
        raise ValueError(f"`batch_norm` works on {known}, found `{found}`; rearrange it")
    return str(found)


@layer("batch_norm", kind="norm", layout=_batch_normed_layout, draws=False)
def batch_norm(
    channels: int,
    spatial_dims: int = 2,
    *,
    eps: PositiveFloat = 1e-5,
    momentum: Probability = 0.1,
    init: Literal["ones", "zeros"] = "ones",
    affine: bool = True,
) -> nn.BatchNorm2d | nn.BatchNorm1d | nn.BatchNorm3d:
    """Normalise each channel over the batch and all positions; in evaluation, by the running statistics.

    Shape:   b c h w -> b c h w;  the same for b c l, b c t h w and b c
    Params:  2c, and none with `affine: false`
    Source:  Ioffe & Szegedy, Batch Normalization, ICML 2015. arXiv:1502.03167

    `init: zeros` starts the scale at 0 instead of 1, so that a branch that ends here starts at 0. `affine: false`
    leaves out scale and shift.
    """
    made = _BATCH_NORMS[spatial_dims](channels, eps, momentum, affine)
    if init == "zeros":
        if not affine:
            raise ValueError("`init: zeros` sets the scale, which `affine: false` leaves out; remove one of them")
        nn.init.zeros_(made.weight)
    return made


@layer("layer_norm", kind="norm", layout=channels_last_layout, draws=False)
def layer_norm(channels: int, *, eps: PositiveFloat = 1e-5, affine: bool = True, bias: bool = True) -> nn.LayerNorm:
    """Normalise each position over its channels (the last axis).

    Shape:   ... c -> ... c
    Params:  2c; c without bias, and none with `affine: false`
    Source:  Ba et al., Layer Normalization, 2016. arXiv:1607.06450

    `affine: false` leaves out scale and shift; PyTorch calls it `elementwise_affine`. `bias: false` leaves out the
    shift alone.
    """
    return nn.LayerNorm(channels, eps, affine, bias)


@layer("layer_norm_2d", kind="norm", layout="b c h w -> b c h w", draws=False)
class LayerNorm2d(nn.LayerNorm):
    """Normalise each position of a feature map over its channels.

    Shape:   b c h w -> b c h w
    Params:  2c; c without bias, and none with `affine: false`
    Source:  Ba et al., Layer Normalization, 2016. arXiv:1607.06450
    """

    def __init__(self, channels: int, *, eps: PositiveFloat = 1e-5, affine: bool = True, bias: bool = True):
        super().__init__(channels, eps, affine, bias)

    def forward(self, input: Tensor) -> Tensor:
        x = input.permute(0, 2, 3, 1)
        x = F.layer_norm(x, self.normalized_shape, self.weight, self.bias, self.eps)
        return x.permute(0, 3, 1, 2)


def _grouped_layout(inputs: Sequence[Any], *, num_groups: int, **options: Any) -> str:
    found, channels = inputs[0].layout, inputs[0].channels
    if found is None or found.split()[1:2] != ["c"]:
        raise ValueError(
            f"`group_norm` works on the second axis, which must be `c`; found layout `{found}`; "
            "rearrange it so that `c` comes behind `b`"
        )
    if channels % num_groups:
        raise ValueError(
            f"`group_norm` cannot put {channels} channels into {num_groups} groups; "
            f"set num_groups to a divisor of {channels}"
        )
    return str(found)


@layer("group_norm", kind="norm", layout=_grouped_layout, draws=False)
def group_norm(
    channels: int, *, num_groups: PositiveInt, eps: PositiveFloat = 1e-5, affine: bool = True
) -> nn.GroupNorm:
    """Normalise each example over the channels of a group and all positions.

    Shape:   b c h w -> b c h w;  the same for b c
    Params:  2c, and none with `affine: false`
    Source:  Wu & He, Group Normalization, ECCV 2018. arXiv:1803.08494

    One group normalises over all channels, as many groups as channels over each alone (instance normalisation).
    """
    return nn.GroupNorm(num_groups, channels, eps, affine)


class _ResponseNorm(nn.Module):
    """Scale and shift per channel, both 0 at the start."""

    def __init__(self, channels: int, eps: float):
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.zeros(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def extra_repr(self) -> str:
        return f"{self.weight.shape[0]}, eps={self.eps}"


@layer("grn", kind="norm", layout="b h w c -> b h w c", draws=False)
class GlobalResponseNorm(_ResponseNorm):
    """Rescale each channel by how strong it is beside the others, and add the input.

    Shape:   b h w c -> b h w c
    Math:    y = x + gamma x n + beta        n = g / (mean_c(g) + eps),  g = ||x||_hw, a length per channel
    Params:  2c, all 0 at the start: the identity
    Source:  Woo et al., ConvNeXt V2, CVPR 2023, eq. 1-3. arXiv:2301.00808

    `grn_2d` is the same for b c h w. Names of the weights are timm's.
    """

    def __init__(self, channels: int, *, eps: PositiveFloat = 1e-6):
        super().__init__(channels, eps)

    def forward(self, x: Tensor) -> Tensor:
        length = x.norm(p=2, dim=(1, 2), keepdim=True)
        relative = length / (length.mean(-1, keepdim=True) + self.eps)
        return x + torch.addcmul(self.bias, self.weight, x * relative)


@layer("grn_2d", kind="norm", layout="b c h w -> b c h w", draws=False)
class GlobalResponseNorm2d(_ResponseNorm):
    """Rescale each channel by how strong it is beside the others, and add the input.

    Shape:   b c h w -> b c h w
    Math:    y = x + gamma x n + beta        n = g / (mean_c(g) + eps),  g = ||x||_hw, a length per channel
    Params:  2c, all 0 at the start: the identity
    Source:  Woo et al., ConvNeXt V2, CVPR 2023, eq. 1-3. arXiv:2301.00808
    """

    def __init__(self, channels: int, *, eps: PositiveFloat = 1e-6):
        super().__init__(channels, eps)

    def forward(self, x: Tensor) -> Tensor:
        length = x.norm(p=2, dim=(2, 3), keepdim=True)
        relative = length / (length.mean(1, keepdim=True) + self.eps)
        return x + torch.addcmul(self.bias.view(1, -1, 1, 1), self.weight.view(1, -1, 1, 1), x * relative)


def _normalised_layout(inputs: Sequence[Any], *, dim: int = 1, eps: float = 1e-12) -> str | None:
    check_axis("l2_norm", inputs[0], dim)
    layout: str | None = inputs[0].layout
    return layout


def _normalised_code(names: list[str], inputs: Sequence[Any], *, dim: int = 1, eps: float = 1e-12) -> str:
    more = "" if eps == 1e-12 else f", eps={eps!r}"
    return f"torch.nn.functional.normalize({names[0]}, dim={dim}{more})"


@layer("l2_norm", kind="norm", layout=_normalised_layout, code=_normalised_code)
def l2_norm(x: Tensor, *, dim: int = 1, eps: PositiveFloat = 1e-12) -> Tensor:
    """Divide by the Euclidean length along the axis `dim`, counted from 0: 1 is the channels of b c h w and b c.

    Shape:   any -> the same
    Math:    y = x / max(||x||, eps)

    >>> l2_norm(torch.tensor([[3.0, 4.0]]))
    tensor([[0.6000, 0.8000]])
    """
    return F.normalize(x, dim=dim, eps=eps)
