"""CAM: the channel attention module of DANet. Fu et al., Dual Attention Network for Scene Segmentation, CVPR 2019."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from composer.mechanisms.shared.memory_format import in_format_of
from composer.mechanisms.shared.precision import at_least_float32, full_precision
from composer.registry import mechanism


@mechanism(
    "cam",
    kind="channel",
    applied="positions",
    place={"after": "stage", "where": "last"},
    aliases=("channel attention module", "danet", "dual attention network", "通道注意力"),
)
class ChannelAttentionOfDANet(nn.Module):
    """Add to each channel a mixture of all channels, in which those that resemble it least weigh most.

    Shape:   b c h w -> b c h w
    Math:    y = x + gamma A X        A = softmax_j(max_j(X Xᵀ) - X Xᵀ),  X: x as c rows of h w numbers
    Params:  1
    MACs:    2c² h w
    Source:  Fu et al., Dual Attention Network for Scene Segmentation, CVPR 2019. arXiv:1809.02983
    Departs: the authors' code is followed, in which the sign of X Xᵀ is turned; the paper has softmax(X Xᵀ).
    Start:   the authors' code: gamma = 0, so that it starts as the identity.

    X Xᵀ is a sum over all positions, so that A is close to one-hot unless the features are small.

    >>> sum(p.numel() for p in ChannelAttentionOfDANet().parameters())
    1
    """

    def __init__(self) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.zeros(1))

    def attention(self, x: Tensor) -> Tensor:
        """The weights of all channels for each channel (row), b c c, at least float32; rows sum to 1."""
        return _weights(x.flatten(2))

    def forward(self, x: Tensor) -> Tensor:
        rows = x.flatten(2)
        y = (_weights(rows).to(rows.dtype) @ rows).unflatten(2, x.shape[2:])
        return x + self.gamma * in_format_of(x, y)


def _weights(rows: Tensor) -> Tensor:
    """softmax(-X Xᵀ), of which softmax(max - X Xᵀ) is another way to write it: b c n -> b c c, in float32 or better."""
    rows = at_least_float32(rows)
    with full_precision(rows):
        return (-torch.einsum("bin,bjn->bij", rows, rows)).softmax(-1)


torch.fx.wrap("_weights")
torch.fx.wrap("in_format_of")
