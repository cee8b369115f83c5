"""Sequences of tokens, and feature maps as sequences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
import torch.fx
import torch.nn.functional as F
from torch import Tensor

from composer.options import NonNegativeInt, PositiveInt
from composer.registry import TokenGrid, layer


def _tokens(name: str, tensor: Any) -> int:
    if tensor.layout != "b n c":
        raise ValueError(f"`{name}` works on `b n c`, found `{tensor.layout}`; rearrange it, or use map_to_tokens")
    return int(tensor.shape[1])


def _prepended_layout(inputs: Sequence[Any], *, tokens: int = 1) -> str:
    token, x = inputs
    _tokens("prepend_token", x)
    channels = x.shape[2]
    if tuple(token.shape) != (1, tokens, channels):
        found = "×".join(map(str, token.shape))
        wanted = "a token" if tokens == 1 else f"{tokens} tokens"
        several = f", or `tokens: {token.shape[1]}` here" if len(token.shape) == 3 and token.shape[1] != tokens else ""
        raise ValueError(
            f"`prepend_token` takes {wanted} of shape 1×{tokens}×{channels} and then the sequence, found {found}; "
            f"write `shape: [1, {tokens}, {channels}]` at the parameter{several}"
        )
    return "b n c"


def _prepended_grid(inputs: Sequence[Any], *, tokens: int = 1) -> TokenGrid | None:
    grid: TokenGrid | None = inputs[1].grid
    return grid and grid._replace(prefix=grid.prefix + tokens)


@layer("prepend_token", kind="token", layout=_prepended_layout, grid=_prepended_grid)
def prepend_token(token: Tensor, x: Tensor, *, tokens: PositiveInt = 1) -> Tensor:
    """Put the same learnable tokens in front of every sequence: a class token, or `tokens` registers.

    Shape:   1 t c, b n c -> b (t + n) c        t = tokens
    """
    return torch.cat([token.expand(x.shape[0], -1, -1), x], 1)


def _positioned_layout(inputs: Sequence[Any]) -> str:
    x, positions = inputs
    count = _tokens("add_positions", x)
    if tuple(positions.shape) != (1, count, x.shape[2]):
        found = "×".join(map(str, positions.shape))
        raise ValueError(
            f"`add_positions` takes a sequence and then its positions, 1×{count}×{x.shape[2]}, found {found}; "
            f"write `shape: [1, {count}, {x.shape[2]}]` at the parameter"
        )
    return "b n c"


@layer("add_positions", kind="token", layout=_positioned_layout)
def add_positions(x: Tensor, positions: Tensor) -> Tensor:
    """Add a learnt vector per position to the tokens. Raises ValueError for another number of tokens.

    Shape:   b n c, 1 n c -> b n c
    """
    return _added(x, positions)


def _added(x: Tensor, positions: Tensor) -> Tensor:
    if x.shape[1] != positions.shape[1]:
        raise ValueError(
            f"add_positions: built for {positions.shape[1]} tokens, found {x.shape[1]}; build the network for images "
            "of that size, and its weights are resampled when they are loaded"
        )
    return x + positions


# Traced as a single call, because a traced tensor has no shape to compare.
torch.fx.wrap("_added")


def _taken_layout(inputs: Sequence[Any], *, index: int = 0) -> str:
    count = _tokens("take_token", inputs[0])
    if not -count <= index < count:
        raise ValueError(f"`take_token` cannot take token {index} of {count}; set index from 0 to {count - 1}")
    return "b c"


@layer("take_token", kind="token", layout=_taken_layout)
def take_token(x: Tensor, *, index: int = 0) -> Tensor:
    """The token at `index` of each sequence; -1 is the last.

    Shape:   b n c -> b c
    """
    return x[:, index]


def _sliced_layout(inputs: Sequence[Any], *, start: int = 0, end: int | None = None) -> str:
    count = _tokens("slice_tokens", inputs[0])
    if not range(count)[start:end]:
        raise ValueError(
            f"`slice_tokens` from {start} to {'the end' if end is None else end} leaves none of {count} tokens; "
            f"set 0 <= start < end <= {count}, negative numbers count from the end"
        )
    return "b n c"


def _sliced_grid(inputs: Sequence[Any], *, start: int = 0, end: int | None = None) -> TokenGrid | None:
    grid = inputs[0].grid
    if grid is None:
        return None
    kept = range(grid.tokens)[start:end]
    if kept.stop <= grid.prefix:
        return TokenGrid(0, 0, len(kept))
    whole = kept.start <= grid.prefix and kept.stop == grid.tokens
    return TokenGrid(grid.height, grid.width, grid.prefix - kept.start) if whole else None


def _slice_code(names: list[str], inputs: Sequence[Any], *, start: int = 0, end: int | None = None) -> str:
    return f"{names[0]}[:, {start or ''}:{'' if end is None else end}]"


@layer("slice_tokens", kind="token", layout=_sliced_layout, grid=_sliced_grid, code=_slice_code)
def slice_tokens(x: Tensor, *, start: int = 0, end: int | None = None) -> Tensor:
    """The tokens from `start`, counted from 0, to before `end`; negative numbers count from the end.

    Shape:   b n c -> b (end - start) c

    `start: 1` leaves out a class token, `end: 1` keeps it alone.
    """
    return x[:, start:end]


def _averaged_layout(inputs: Sequence[Any], *, skip: int = 0) -> str:
    count = _tokens("mean_tokens", inputs[0])
    if skip >= count:
        raise ValueError(f"`mean_tokens` skips {skip} of {count} tokens; set skip to {count - 1} or less")
    return "b c"


@layer("mean_tokens", kind="token", layout=_averaged_layout)
def mean_tokens(x: Tensor, *, skip: NonNegativeInt = 0) -> Tensor:
    """The mean of each sequence's tokens, without the first `skip` (such as a class token).

    Shape:   b n c -> b c
    """
    return x[:, skip:].mean(1)


def _positions(inputs: Sequence[Any], *, axis: str = "pixels") -> TokenGrid | None:
    return inputs[0].positions if axis == "pixels" else None


@layer("map_to_tokens", kind="token", layout="b c h w -> b n c", grid=_positions)
def map_to_tokens(x: Tensor, *, axis: Literal["pixels", "channels"] = "pixels") -> Tensor:
    """A feature map as a sequence: a token per position, or a token per channel.

    Shape:   pixels: b c h w -> b (h w) c;  channels: b c h w -> b c (h w)
    """
    tokens = x.flatten(2)
    return tokens.transpose(1, 2) if axis == "pixels" else tokens


def _mapped_layout(inputs: Sequence[Any], *, axis: str = "pixels") -> str:
    tokens, like = inputs
    _tokens("tokens_to_map", tokens)
    if like.layout != "b c h w":
        raise ValueError(f"`tokens_to_map` takes tokens and then a map `b c h w` to be like, found `{like.layout}`")
    height, width = like.shape[2:]
    positions = tokens.shape[1 if axis == "pixels" else 2]
    if positions != height * width:
        raise ValueError(
            f"`tokens_to_map` cannot lay {positions} positions out as {height}×{width}; "
            f"give it {height * width}, or a map of another size to be like"
        )
    return "b c h w"


@layer("tokens_to_map", kind="token", layout=_mapped_layout)
def tokens_to_map(tokens: Tensor, like: Tensor, *, axis: Literal["pixels", "channels"] = "pixels") -> Tensor:
    """A sequence as a feature map with the height and width of the second input: undoes map_to_tokens.

    Shape:   pixels: b (h w) c, b _ h w -> b c h w;  channels: b c (h w), b _ h w -> b c h w
    """
    flat = tokens.transpose(1, 2) if axis == "pixels" else tokens
    return torch.unflatten(flat, 2, like.shape[2:])


def _patches_layout(inputs: Sequence[Any], *, grid: tuple[int, int], skip: int = 0) -> str:
    count = _tokens("patches_to_map", inputs[0])
    if count != skip + grid[0] * grid[1]:
        raise ValueError(
            f"`patches_to_map` takes {skip} + {grid[0]}×{grid[1]} = {skip + grid[0] * grid[1]} tokens, found {count}; "
            "set grid to that of the patches, and skip to the tokens before them"
        )
    return "b c h w"


def _patches_code(names: list[str], inputs: Sequence[Any], *, grid: tuple[int, int], skip: int = 0) -> str:
    patches = f"{names[0]}[:, {skip}:]" if skip else names[0]
    return f"{patches}.transpose(1, 2).unflatten(2, {tuple(grid)})"


@layer("patches_to_map", kind="token", layout=_patches_layout, code=_patches_code)
def patches_to_map(x: Tensor, *, grid: tuple[PositiveInt, PositiveInt], skip: NonNegativeInt = 0) -> Tensor:
    """The tokens of patches as a feature map, without the first `skip` (such as a class token).

    Shape:   b (skip + h w) c -> b c h w        grid = (h, w)
    """
    return torch.unflatten(x[:, skip:].transpose(1, 2), 2, grid)


def _resized_layout(inputs: Sequence[Any], *, source: tuple[int, int], skip: int = 0, **options: Any) -> str | None:
    shape = tuple(inputs[0].shape)
    wanted = skip + source[0] * source[1]
    if len(shape) != 3 or shape[1] != wanted:
        found = "×".join(map(str, shape))
        raise ValueError(
            f"`resize_positions` takes {skip} + {source[0]}×{source[1]} = {wanted} positions, found {found}; "
            "set source to the grid they were learnt on, and skip to the tokens before it"
        )
    layout: str | None = inputs[0].layout
    return layout


@layer("resize_positions", kind="token", layout=_resized_layout)
def resize_positions(
    positions: Tensor,
    *,
    source: tuple[PositiveInt, PositiveInt],
    target: tuple[PositiveInt, PositiveInt],
    skip: NonNegativeInt = 0,
) -> Tensor:
    """Position embeddings of a grid, resampled to another grid by antialiased bicubic interpolation.

    Shape:   1 (skip + h w) c -> 1 (skip + h' w') c        source = (h, w),  target = (h', w')
    Source:  Dosovitskiy et al., An Image is Worth 16x16 Words, ICLR 2021, sec. 3.2. arXiv:2010.11929

    The first `skip` positions, such as that of a class token, stay as they are.
    """
    if tuple(source) == tuple(target):
        return positions
    kept, grid = positions[:, :skip], positions[:, skip:]
    grid = grid.transpose(1, 2).unflatten(2, tuple(source))
    grid = F.interpolate(grid, size=tuple(target), mode="bicubic", antialias=True)
    return torch.cat([kept, grid.flatten(2).transpose(1, 2)], 1)
