"""A plugin in one file: `composer list mechanisms --plugin examples/pixel_gate.py`."""

from torch import Tensor, nn

import composer
from composer import OddInt


@composer.mechanism("pixel_gate", kind="spatial")
class PixelGate(nn.Module):
    """Rescale each pixel by a gate computed from its neighbourhood.

    Shape:   b c h w -> b c h w
    Math:    y = x * sigmoid(W * x)        W: c -> 1, k×k
    Params:  ck² + 1
    MACs:    ck² h w
    Source:  an example.
    Departs: nothing.
    Start:   PyTorch's own.

    >>> sum(p.numel() for p in PixelGate(64, kernel_size=3).parameters())
    577
    """

    def __init__(self, channels: int, *, kernel_size: OddInt = 7) -> None:
        super().__init__()
        self.logit = nn.Conv2d(channels, 1, kernel_size, padding=kernel_size // 2)

    def attention(self, x: Tensor) -> Tensor:
        """b c h w -> b 1 h w, in 0..1."""
        return self.logit(x).sigmoid()

    def forward(self, x: Tensor) -> Tensor:
        """b c h w -> b c h w."""
        return x * self.attention(x)
