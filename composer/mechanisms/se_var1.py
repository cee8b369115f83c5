"""SE-Var-1: squeeze-and-excitation without parameters. Wang et al., ECA-Net, CVPR 2020."""

from __future__ import annotations

from torch import Tensor, nn

from composer.registry import mechanism


@mechanism("se_var1", kind="channel")
class SEVar1(nn.Module):
    """Rescale each channel by the sigmoid of its own mean.

    Shape:   b c h w -> b c h w
    Math:    y = x * sigmoid(mean_hw(x))
    Params:  0
    MACs:    0
    Source:  Wang et al., ECA-Net: Efficient Channel Attention for Deep CNNs, CVPR 2020, table 2. arXiv:1910.03151
    Departs: nothing.
    Start:   nothing to start.

    >>> sum(p.numel() for p in SEVar1().parameters())
    0
    """

    def attention(self, x: Tensor) -> Tensor:
        """The gate, b c 1 1, in (0, 1)."""
        return x.mean((2, 3), keepdim=True).sigmoid()

    def forward(self, x: Tensor) -> Tensor:
        return x * self.attention(x)
