"""A mechanism from a package of its own: installed, it is there in every spec."""

from torch import Tensor, nn

import composer
from composer import PositiveInt


@composer.mechanism("row_column_gate", kind="spatial")
class RowColumnGate(nn.Module):
    """Rescale each pixel by a gate for its row and one for its column.

    Shape:   b c h w -> b c h w
    Math:    y = x * sigmoid(V mean_w(U x)) * sigmoid(V mean_h(U x))        U: c -> d,  V: d -> c
    Params:  2cd + c + d
    MACs:    cd h w + cd (h + w)
    Source:  an example.
    Departs: nothing.
    Start:   PyTorch's own.

    >>> sum(p.numel() for p in RowColumnGate(64, hidden=8).parameters())
    1096
    """

    def __init__(self, channels: int, *, hidden: PositiveInt = 16) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(channels, hidden, 1)
        self.expand = nn.Conv2d(hidden, channels, 1)

    def attention(self, x: Tensor) -> Tensor:
        """b c h w -> b c h w, in 0..1."""
        reduced = self.reduce(x)
        rows = self.expand(reduced.mean(3, keepdim=True)).sigmoid()
        columns = self.expand(reduced.mean(2, keepdim=True)).sigmoid()
        return rows * columns

    def forward(self, x: Tensor) -> Tensor:
        """b c h w -> b c h w."""
        return x * self.attention(x)
