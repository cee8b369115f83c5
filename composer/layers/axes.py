"""Parts of any axis, and numbers over axes, by the axis' number: what code written without layouts needs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from torch import Tensor

from composer.layers.axis import check_axis
from composer.options import NonNegativeInt, PositiveInt
from composer.registry import TokenGrid, layer


def _without(layout: str | None, dims: Sequence[int]) -> str | None:
    if layout is None:
        return None
    axes = layout.split()
    gone = {dim % len(axes) for dim in dims}
    return " ".join(axis for number, axis in enumerate(axes) if number not in gone)


def _sliced_layout(
    inputs: Sequence[Any], *, dim: int, start: int = 0, end: int | None = None, step: int = 1
) -> str | None:
    check_axis("slice", inputs[0], dim)
    length = inputs[0].shape[dim]
    if not range(length)[start:end:step] or (end is not None and end > length):
        raise ValueError(
            f"`slice` from {start} to {'the end' if end is None else end} of {length} entries; "
            f"set 0 <= start < end <= {length}"
        )
    layout: str | None = inputs[0].layout
    return layout


def _sliced_grid(
    inputs: Sequence[Any], *, dim: int, start: int = 0, end: int | None = None, step: int = 1
) -> TokenGrid | None:
    axes = (inputs[0].layout or "").split()
    grid: TokenGrid | None = inputs[0].grid
    return None if axes and axes[dim] == "n" else grid


def _slice_code(
    names: list[str], inputs: Sequence[Any], *, dim: int, start: int = 0, end: int | None = None, step: int = 1
) -> str:
    before = ":, " * (dim % len(inputs[0].shape))
    span = f"{start or ''}:{'' if end is None else end}" + (f":{step}" if step != 1 else "")
    return f"{names[0]}[{before}{span}]"


@layer("slice", kind="shape", layout=_sliced_layout, grid=_sliced_grid, code=_slice_code)
def slice_axis(
    x: Tensor, *, dim: NonNegativeInt, start: NonNegativeInt = 0, end: PositiveInt | None = None, step: PositiveInt = 1
) -> Tensor:
    """The entries from `start` to before `end` of the axis `dim`, counted from 0; with a `step`, each such one.

    Shape:   any -> the same, with ceil((end - start) / step) entries on the axis

    `channels` and `slice_tokens` say the same of channels and tokens, by name.

    >>> import torch
    >>> slice_axis(torch.arange(6).view(1, 6), dim=1, start=1, step=2)
    tensor([[1, 3, 5]])
    """
    return x[(slice(None),) * dim + (slice(start, end, step),)]


def _selected_layout(inputs: Sequence[Any], *, dim: int, index: int = 0) -> str | None:
    check_axis("select", inputs[0], dim)
    length = inputs[0].shape[dim]
    if index >= length:
        raise ValueError(f"`select` cannot take entry {index} of {length}; set index from 0 to {length - 1}")
    return _without(inputs[0].layout, [dim])


def _kept_grid(inputs: Sequence[Any], **options: Any) -> TokenGrid | None:
    grid: TokenGrid | None = inputs[0].grid
    return grid


def _select_code(names: list[str], inputs: Sequence[Any], *, dim: int, index: int = 0) -> str:
    return f"{names[0]}.select({dim}, {index})"


@layer("select", kind="shape", layout=_selected_layout, grid=_kept_grid, code=_select_code)
def select(x: Tensor, *, dim: NonNegativeInt, index: NonNegativeInt = 0) -> Tensor:
    """The entry at `index` of the axis `dim`, both counted from 0; the axis goes.

    Shape:   b ... n ... -> b ... ...

    `take_token` says the same of tokens, by name.

    >>> import torch
    >>> select(torch.arange(6).view(1, 3, 2), dim=1, index=2)
    tensor([[4, 5]])
    """
    return x.select(dim, index)


def _reduced_layout(
    inputs: Sequence[Any], *, dims: Sequence[int], how: str = "mean", keepdim: bool = False
) -> str | None:
    if not dims:
        raise ValueError("`reduce` of no axes; set dims to the axes that go, such as [2, 3]")
    for dim in dims:
        check_axis("reduce", inputs[0], dim)
    layout: str | None = inputs[0].layout
    return layout if keepdim else _without(layout, dims)


def _reduced_grid(
    inputs: Sequence[Any], *, dims: Sequence[int], how: str = "mean", keepdim: bool = False
) -> TokenGrid | None:
    grid: TokenGrid | None = inputs[0].grid
    axes = (inputs[0].layout or "").split()
    return None if any(axes[dim] == "n" for dim in dims if axes) else grid


_METHODS = {"mean": "mean", "sum": "sum", "max": "amax", "min": "amin"}


def _reduce_code(
    names: list[str], inputs: Sequence[Any], *, dims: Sequence[int], how: str = "mean", keepdim: bool = False
) -> str:
    return f"{names[0]}.{_METHODS[how]}({tuple(dims)}{', keepdim=True' if keepdim else ''})"


@layer("reduce", kind="pool", layout=_reduced_layout, grid=_reduced_grid, code=_reduce_code)
def reduce(
    x: Tensor, *, dims: list[NonNegativeInt], how: Literal["mean", "sum", "max", "min"] = "mean", keepdim: bool = False
) -> Tensor:
    """The mean, sum, maximum or minimum over the axes `dims`, counted from 0; `keepdim` keeps them, of length 1.

    Shape:   b ... n ... -> b ... ...

    `global_avg_pool` and `mean_tokens` say the same of maps and tokens, by name.

    >>> import torch
    >>> reduce(torch.ones(1, 3, 2), dims=[1], how="sum")
    tensor([[3., 3.]])
    """
    result: Tensor = getattr(x, _METHODS[how])(tuple(dims), keepdim=keepdim)
    return result
