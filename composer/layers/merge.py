"""Several tensors into a single tensor."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from composer.layers.axis import check_axis
from composer.options import PositiveInt
from composer.registry import TokenGrid, layer

# A function sees no layouts; each number of axes has a single layout.
_LAYOUTS = {2: "b c", 3: "b n c", 4: "b c h w", 5: "b c t h w"}


def _elementwise(name: str) -> Callable[..., str | None]:
    def layout(inputs: Sequence[Any], *, broadcast: bool = False) -> str | None:
        _at_least_two(name, inputs)
        return _broadcast_layout(name, inputs) if broadcast else same_layout(name, inputs)

    return layout


def _at_least_two(name: str, inputs: Sequence[Any]) -> None:
    if len(inputs) < 2:
        raise ValueError(f"`{name}` takes at least 2 inputs, found {len(inputs)}; write `from: [one, other]`")


def same_layout(name: str, inputs: Sequence[Any]) -> str | None:
    """The layout of tensors of one shape, or one per last axis. Raises ValueError."""
    host = max(inputs, key=lambda tensor: len(tensor.shape))
    for other in inputs:
        scale = other.layout is None and tuple(other.shape) == tuple(host.shape[-1:])
        if not scale and tuple(other.shape) != tuple(host.shape):
            raise ValueError(f"`{name}` takes inputs of one shape, found {_listed(inputs)}; {_remedy(inputs)}")
        if other.layout and host.layout and other.layout != host.layout:
            raise ValueError(
                f"`{name}` takes inputs of one layout, found `{host.layout}` and `{other.layout}`; "
                "rearrange one of them"
            )
    return next((tensor.layout for tensor in inputs if tensor.layout and len(tensor.shape) == len(host.shape)), None)


def _broadcast_layout(name: str, inputs: Sequence[Any]) -> str | None:
    shape = _broadcast_shape(inputs)
    if shape is None:
        raise ValueError(
            f"`{name}` cannot broadcast {_listed(inputs)}; aligned at the last axis, lengths must be equal or 1"
        )
    return next((tensor.layout for tensor in inputs if tensor.layout and len(tensor.shape) == len(shape)), None)


def _broadcast_shape(inputs: Sequence[Any]) -> tuple[int, ...] | None:
    try:
        return tuple(torch.broadcast_shapes(*(tuple(tensor.shape) for tensor in inputs)))
    except RuntimeError:
        return None


def _remedy(inputs: Sequence[Any]) -> str:
    """Advice on how to merge inputs of different shapes; mentions broadcasting only if it works."""
    if _broadcast_shape(inputs) is not None:
        return "make the shapes equal, or write `broadcast: true`"
    layouts = {tensor.layout for tensor in inputs}
    axes = (layouts.pop() or "").split() if len(layouts) == 1 else []
    lengths = zip(axes, *(tensor.shape for tensor in inputs), strict=True) if axes else ()
    apart = [
        f"`{axis}` is {' and '.join(map(str, dict.fromkeys(found)))}" for axis, *found in lengths if len(set(found)) > 1
    ]
    return "make the shapes equal" + (f": {', '.join(apart)}" if apart else "")


def _listed(inputs: Sequence[Any]) -> str:
    return " and ".join(map(str, inputs))


def _joined(symbol: str) -> Callable[..., str]:
    return lambda names, inputs, **options: f" {symbol} ".join(names)


@layer("add", kind="merge", layout=_elementwise("add"), code=_joined("+"))
def add(*inputs: Tensor, broadcast: bool = False) -> Tensor:
    """The sum of two or more tensors.

    Shape:   ..., ... -> ...        shapes equal, or one tensor per last axis, such as a parameter of shape [c];
             with broadcast, whatever PyTorch broadcasts
    """
    first, *rest = inputs
    for other in rest:
        first = first + other
    return first


@layer("mul", kind="merge", layout=_elementwise("mul"), code=_joined("*"))
def mul(*inputs: Tensor, broadcast: bool = False) -> Tensor:
    """The product of two or more tensors, element by element.

    Shape:   ..., ... -> ...        shapes equal, or one tensor per last axis, such as a parameter of shape [c];
             with broadcast, whatever PyTorch broadcasts
    """
    first, *rest = inputs
    for other in rest:
        first = first * other
    return first


@layer("sub", kind="merge", layout=_elementwise("sub"), code=_joined("-"))
def sub(x: Tensor, other: Tensor, *, broadcast: bool = False) -> Tensor:
    """The first tensor minus the second.

    Shape:   ..., ... -> ...        shapes equal, or one tensor per last axis, such as a parameter of shape [c];
             with broadcast, whatever PyTorch broadcasts
    """
    return x - other


@layer("div", kind="merge", layout=_elementwise("div"), code=_joined("/"))
def div(x: Tensor, other: Tensor, *, broadcast: bool = False) -> Tensor:
    """The first tensor divided by the second, element by element.

    Shape:   ..., ... -> ...        shapes equal, or one tensor per last axis, such as a parameter of shape [c];
             with broadcast, whatever PyTorch broadcasts
    """
    return x / other


def _average_code(names: list[str], inputs: Sequence[Any], **options: Any) -> str:
    return f"({' + '.join(names)}) / {len(names)}"


@layer("average", kind="merge", layout=_elementwise("average"), code=_average_code)
def average(*inputs: Tensor, broadcast: bool = False) -> Tensor:
    """The mean of two or more tensors, element by element.

    Shape:   ..., ... -> ...        shapes equal, or one tensor per last axis, such as a parameter of shape [c];
             with broadcast, whatever PyTorch broadcasts

    >>> average(torch.tensor([1.0]), torch.tensor([2.0]), torch.tensor([6.0]))
    tensor([3.])
    """
    return add(*inputs) / len(inputs)


def _concat_layout(inputs: Sequence[Any], *, axis: str | int = "c") -> str:
    _at_least_two("concat", inputs)
    first = inputs[0]
    numbered = isinstance(axis, int)
    layout = first.layout if numbered else _LAYOUTS.get(len(first.shape))
    known = " or ".join(f"`{one}`" for one in _LAYOUTS.values())
    for tensor in inputs:
        if tensor.layout is None or (tensor.layout not in _LAYOUTS.values() and not numbered):
            hint = "set axis to the axis' number, 1 for channels" if tensor.layout == "b c l" else "rearrange it"
            raise ValueError(f"`concat` works on {known}, found {_named(tensor)}; {hint}")
        if tensor.layout != layout:
            raise ValueError(
                f"`concat` takes inputs of one layout, found `{layout}` and `{tensor.layout}`; rearrange one of them"
            )
    assert layout is not None
    axes = layout.split()
    if isinstance(axis, int):
        check_axis("concat", first, axis)
    elif axis not in axes[1:]:
        raise ValueError(f"`concat` along `{axis}`, which `{layout}` has not; set axis to one of {', '.join(axes[1:])}")
    along = _name_of(axis, layout)
    for name, *lengths in zip(axes, *(tensor.shape for tensor in inputs), strict=True):
        if name != along and len(set(lengths)) > 1:
            found = " and ".join(map(str, lengths))
            raise ValueError(
                f"`concat` along `{along}` takes inputs that are equal in all other axes, "
                f"found {_listed(inputs)}: `{name}` is {found}"
            )
    return layout


def _name_of(axis: str | int, layout: str) -> str:
    return layout.split()[axis] if isinstance(axis, int) else axis


def _concat_grid(inputs: Sequence[Any], *, axis: str | int = "c") -> TokenGrid | None:
    grids = [tensor.grid for tensor in inputs]
    if _name_of(axis, inputs[0].layout) != "n":
        return grids[0] if len(set(grids)) == 1 else None
    # Prefix tokens stay a prefix; two grids, one behind the other, are none.
    if None in grids or any(grid.is_map for grid in grids[:-1]):
        return None
    return TokenGrid(grids[-1].height, grids[-1].width, sum(grid.prefix for grid in grids))


def _named(tensor: Any) -> str:
    return f"`{tensor.layout}`" if tensor.layout else f"{tensor} without a layout"


def _concat_code(names: list[str], inputs: Sequence[Any], *, axis: str | int = "c") -> str:
    number = axis if isinstance(axis, int) else inputs[0].layout.split().index(axis)
    return f"torch.cat([{', '.join(names)}], {number})"


@layer("concat", kind="merge", layout=_concat_layout, grid=_concat_grid, code=_concat_code)
def concat(*inputs: Tensor, axis: str | PositiveInt = "c") -> Tensor:
    """The tensors, concatenated along the axis named `axis`, or of that number, counted from 0.

    Shape:   b c1 h w, b c2 h w -> b (c1 + c2) h w;  the same for b n c, b c and b c t h w
             others, such as b c l and b h w c, by the axis' number
    """
    return torch.cat(inputs, axis if isinstance(axis, int) else _LAYOUTS[inputs[0].ndim].split().index(axis))


def _product_layout(inputs: Sequence[Any]) -> str | None:
    first, second = inputs
    left, right = tuple(first.shape), tuple(second.shape)
    if len(left) < 3 or len(right) not in (2, len(left)) or (len(right) > 2 and left[:-2] != right[:-2]):
        raise ValueError(
            f"`matmul` takes batches of matrices, and as second input also one matrix, found {_listed(inputs)}; "
            "make all but the last two axes equal"
        )
    if left[-1] != right[-2]:
        raise ValueError(
            f"`matmul` sums over the last axis of the first and the last but one of the second, found {left[-1]} and "
            f"{right[-2]}; rearrange one of them"
        )
    if first.layout is None:
        return None
    *rows, summed = first.layout.split()
    columns = (second.layout or summed).split()[-1]
    # Two axes of one name would be one axis.
    return " ".join([*rows, columns if columns not in rows else "m" if "m" not in rows else "_"])


def _product_grid(inputs: Sequence[Any]) -> TokenGrid | None:
    first, second = inputs
    rows = (first.layout or "").split()[:-1]
    grid: TokenGrid | None = first.grid if "n" in rows else second.grid
    return grid


def _product_code(names: list[str], inputs: Sequence[Any]) -> str:
    return " @ ".join(names)


@layer("matmul", kind="merge", layout=_product_layout, grid=_product_grid, code=_product_code)
def matmul(x: Tensor, other: Tensor) -> Tensor:
    """The product of two batches of matrices, or of a batch and one matrix, such as a parameter.

    Shape:   b n k, b k c -> b n c;  b n k, k c -> b n c;  the same with more axes in front
             an axis that both have besides is `m` in the second: b n c, b c n -> b n m

    >>> matmul(torch.ones(1, 2, 3), torch.ones(1, 3, 1)).flatten()
    tensor([3., 3.])
    """
    return x @ other
