"""Positions that follow from a formula: rotary ones, and sines and cosines with a learnt projection."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.fx
from torch import Tensor, nn

from composer.options import PositiveFloat, PositiveInt
from composer.registry import layer


def _rotated_layout(inputs: Sequence[Any], *, num_heads: int = 1, **options: Any) -> str:
    (x,) = inputs
    if x.layout != "b n c":
        raise ValueError(f"`rotary_positions` works on `b n c`, found `{x.layout}`; rearrange it, or use map_to_tokens")
    if x.channels % (4 * num_heads):
        raise ValueError(
            f"`rotary_positions` turns pairs of channels by rows and by columns: {x.channels} channels do not divide "
            f"into {num_heads} heads of a multiple of 4; set num_heads to another number"
        )
    return "b n c"


@layer("rotary_positions", kind="token", layout=_rotated_layout)
class RotaryPositions(nn.Module):
    """Turn pairs of channels of each query or key by angles that grow with its row and column.

    Shape:   b (k + h w) (H p) -> the same        k prefix tokens, H = num_heads
    Math:    (y_2j, y_2j+1) = (cos a x_2j - sin a x_2j+1, cos a x_2j+1 + sin a x_2j)        j = 0 .. p/2 - 1
             a = row t^(-4j/p) for the first half of the pairs, and the same of the column for the second
    Params:  0
    Source:  Su et al., RoFormer, 2021, sec. 3.2. arXiv:2104.09864; in 2-D: Fang et al., EVA-02, 2023. arXiv:2303.11331

    Used on queries and keys before their product, which then depends on how far apart two patches are. Prefix tokens,
    such as a class token, stay as they are. `temperature` is t. With a `ref_feat_shape`, the grid of the images that a
    network was trained on, rows and columns are measured in steps of that grid. Names are timm's.

    >>> RotaryPositions(4, 1, 2)(torch.tensor([[[1.0, 0, 1, 0], [1, 0, 1, 0]]]))[0, 1]
    tensor([1.0000, 0.0000, 0.5403, 0.8415])
    """

    sin: Tensor
    cos: Tensor

    def __init__(
        self,
        channels: int,
        grid_height: int,
        grid_width: int,
        prefix_tokens: int = 0,
        *,
        num_heads: PositiveInt = 1,
        temperature: PositiveFloat = 10000.0,
        ref_feat_shape: tuple[PositiveInt, PositiveInt] | None = None,
    ):
        super().__init__()
        self.dim, self.num_heads = channels // num_heads, num_heads
        self.grid, self.prefix = (grid_height, grid_width), prefix_tokens
        self.temperature, self.ref_feat_shape = temperature, ref_feat_shape
        self.register_buffer("sin", None, persistent=False)
        self.register_buffer("cos", None, persistent=False)
        self._derive(torch.get_default_device(), torch.get_default_dtype())

    def _derive(self, device: torch.device, dtype: torch.dtype) -> None:
        angles = self._angles(device).repeat_interleave(2, -1)[:, None]
        self.sin, self.cos = angles.sin().to(dtype), angles.cos().to(dtype)

    def _angles(self, device: torch.device) -> Tensor:
        """An angle per position and pair of channels, (h w) p/2."""
        count = self.dim // 4
        bands = 1 / self.temperature ** (torch.arange(count, device=device).float() / count)
        rows, columns = (torch.arange(length, device=device).float() for length in self.grid)
        if self.ref_feat_shape is not None:
            rows = rows / self.grid[0] * self.ref_feat_shape[0]
            columns = columns / self.grid[1] * self.ref_feat_shape[1]
        places = torch.stack(torch.meshgrid(rows, columns, indexing="ij"), -1)
        return (places[..., None] * bands).flatten(2).flatten(0, 1)

    def init_non_persistent_buffers(self) -> None:
        """Compute the buffers that follow from the sizes alone; no state_dict holds them (timm's name)."""
        self._derive(self.sin.device, self.sin.dtype)

    def _load_from_state_dict(self, *args: Any) -> None:
        super()._load_from_state_dict(*args)
        # A module built on the meta device and then allocated has uninitialised buffers until now.
        self.init_non_persistent_buffers()

    def forward(self, x: Tensor) -> Tensor:
        heads = _of_grid(x, self.prefix, self.grid).unflatten(2, (self.num_heads, -1))
        kept, patches = heads[:, : self.prefix], heads[:, self.prefix :]
        turned = patches * self.cos + _quarter_turn(patches) * self.sin
        return torch.cat([kept, turned.to(x.dtype)], 1).flatten(2)

    def extra_repr(self) -> str:
        return f"num_heads={self.num_heads}, grid={self.grid}, prefix={self.prefix}"


def _of_grid(x: Tensor, prefix: int, grid: tuple[int, int]) -> Tensor:
    """The tokens, unchanged. Raises ValueError if they are not those of the grid."""
    if x.shape[1] != prefix + grid[0] * grid[1]:
        wanted = f"{prefix} + {grid[0]}×{grid[1]} tokens"
        raise ValueError(f"rotary_positions: built for {wanted}, found {x.shape[1]}; build it for that size")
    return x


# Traced as a single call, because a traced tensor has no shape to compare.
torch.fx.wrap("_of_grid")


def _quarter_turn(x: Tensor) -> Tensor:
    """(x_0, x_1, x_2, x_3 …) -> (-x_1, x_0, -x_3, x_2 …)"""
    return torch.stack([-x[..., 1::2], x[..., ::2]], -1).flatten(-2)


@layer("fourier_positions", kind="token", layout="b c h w -> b c h w")
class FourierPositions(nn.Module):
    """Add to each position of a map a learnt projection of sines and cosines of its row and column.

    Shape:   b c h w -> b c h w        a map of any size
    Math:    y = x + W [s(row / h); s(column / w)] + b
             s(u) = (sin(2πu t^(-2j/d)), cos(2πu t^(-2j/d)) for j = 0 .. d/2 - 1)        row = 1 .. h, column = 1 .. w
    Params:  2dc + c
    Source:  El-Nouby et al., XCiT: Cross-Covariance Image Transformers, NeurIPS 2021. arXiv:2106.09681

    `hidden_dim` is d, `temperature` is t. Names of the weights are timm's.

    >>> sum(p.numel() for p in FourierPositions(16).parameters())
    1040
    """

    def __init__(self, channels: int, *, hidden_dim: PositiveInt = 32, temperature: PositiveFloat = 10000.0):
        super().__init__()
        if hidden_dim % 2:
            raise ValueError(f"hidden_dim {hidden_dim} is odd, and half are sines; set hidden_dim to {hidden_dim + 1}")
        self.hidden_dim, self.temperature = hidden_dim, temperature
        self.token_projection = nn.Conv2d(2 * hidden_dim, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.token_projection(_waves(x, self.hidden_dim, self.temperature))

    def extra_repr(self) -> str:
        return f"hidden_dim={self.hidden_dim}"


def _waves(x: Tensor, dim: int, temperature: float) -> Tensor:
    """Sines and cosines of the rows and columns of a map: b c h w -> 1 (2 dim) h w"""
    half = torch.arange(dim, device=x.device).float().div(2, rounding_mode="floor")
    periods = temperature ** (2 * half / dim)

    def along(length: int) -> Tensor:
        places = torch.arange(1, length + 1, device=x.device).float() / (length + 1e-6) * (2 * math.pi)
        angles = places[:, None] / periods
        return torch.stack([angles[:, 0::2].sin(), angles[:, 1::2].cos()], -1).flatten(1)

    height, width = x.shape[2:]
    rows, columns = along(height)[:, None].expand(-1, width, -1), along(width).expand(height, -1, -1)
    return torch.cat([rows, columns], -1).permute(2, 0, 1)[None].to(x.dtype)


# Not traced: sizes are not known in a symbolic trace.
torch.fx.wrap("_waves")
