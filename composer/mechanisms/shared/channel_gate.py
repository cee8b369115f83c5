"""What gates share that pool over all positions: they work on sequences, images and videos alike."""

from __future__ import annotations

from torch import Tensor, nn

Pointwise = nn.Conv1d | nn.Conv2d | nn.Conv3d
_POINTWISE: dict[int, type[Pointwise]] = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}


class ChannelGate(nn.Module):
    """A mechanism on `b c l`, `b c h w` or `b c t h w`, which have 1, 2 or 3 `spatial_dims`."""

    # Pickles of a time when there were images only lack it.
    spatial_dims = 2

    def __init__(self, spatial_dims: int):
        super().__init__()
        self.spatial_dims = spatial_dims

    @property
    def positions(self) -> tuple[int, ...]:
        """The axes of positions, all behind channels."""
        return tuple(range(2, 2 + self.spatial_dims))

    def pointwise(self, inputs: int, outputs: int, *, groups: int = 1, bias: bool = True) -> Pointwise:
        """A linear map of the channels at each position: a 1×1 convolution."""
        return _POINTWISE[self.spatial_dims](inputs, outputs, 1, groups=groups, bias=bias)

    def mean(self, x: Tensor) -> Tensor:
        """The mean of each channel, b c 1 1."""
        return x.mean(self.positions, keepdim=True)
