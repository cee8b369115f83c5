"""Axes reordered, merged and split by an einops pattern: tokens, windows, grids, halves."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import einops
from torch import Tensor

from composer.options import PositiveInt
from composer.registry import TokenGrid, layer

# Each axis of a tensor, as the list of the pattern's names that it merges.
Axes = list[list[str]]

_KNOWN = ("b", "c", "n")
_POSITIONS = ("t", "h", "w", "l")


def _rearranged_layout(
    inputs: Sequence[Any], *, pattern: str, sizes: Mapping[str, int] | None = None, layout: str | None = None
) -> str:
    left, right = _sides(pattern)
    _check_input(left, inputs[0])
    like = inputs[1] if len(inputs) > 1 else None
    if like is not None and _layout(right) != like.layout:
        raise ValueError(
            f"`rearrange` to `{_layout(right)}` takes sizes from a second input of that layout, found `{like.layout}`"
        )
    if unknown := [name for name in sizes or {} if name not in _names(left)]:
        raise ValueError(f"`rearrange` is told the size of `{unknown[0]}`, which `{pattern}` has not; remove it")
    known = _known(right, sizes, tuple(like.shape) if like is not None else None)
    for merged, length in zip(left, inputs[0].shape, strict=True):
        _check_split(merged, length, known)
    if layout is not None and (len(layout.split()) != len(right) or len(set(layout.split())) != len(right)):
        raise ValueError(
            f"`rearrange` is told that `{layout}` comes out, and `{pattern}` gives {len(right)} axes; name each once"
        )
    return " ".join(layout.split()) if layout is not None else _layout(right)


def _check_input(left: Axes, tensor: Any) -> None:
    found, told = tensor.layout, _layout(left)
    if found is not None and told != found:
        raise ValueError(f"`rearrange` is told `{told}` comes in, found `{found}`; start the pattern with `{found} ->`")
    if len(left) != len(tensor.shape):
        raise ValueError(
            f"`rearrange` is told of {len(left)} axes (`{told}`), "
            f"found {tensor} with {len(tensor.shape)}; name each axis once"
        )


def _check_split(merged: list[str], length: int, known: Mapping[str, int]) -> None:
    """Raises ValueError unless an axis of this length splits into the axes that it merges."""
    missing = [name for name in merged if name not in known]
    product = math.prod(known[name] for name in merged if name in known)
    if len(missing) > 1:
        raise ValueError(
            f"`rearrange` cannot split `({' '.join(merged)})` of {length}: write `sizes: {{{missing[0]}: …}}`"
        )
    if length % product or (not missing and length != product):
        sizes = " × ".join(str(known.get(name, name)) for name in merged)
        raise ValueError(f"`rearrange` cannot split `({' '.join(merged)})` of {length} into {sizes}; set other sizes")


def _known(right: Axes, sizes: Mapping[str, int] | None, like: Sequence[Any] | None) -> dict[str, Any]:
    """The sizes that are written, and those that follow from a tensor that has the output's shape."""
    known: dict[str, Any] = dict(sizes or {})
    for merged, length in zip(right, like or (), strict=False):
        missing = [name for name in merged if name not in known]
        if len(missing) == 1 and missing != ["b"]:
            product = math.prod(known[name] for name in merged if name in known)
            known[missing[0]] = length if product == 1 else length // product
    return known


def _sides(pattern: str) -> tuple[Axes, Axes]:
    """The axes of the input, and those of the output. Raises ValueError."""
    start, arrow, end = pattern.partition("->")
    left, right = _axes(start), _axes(end)
    if not arrow or not left or not right:
        raise ValueError(
            f"`rearrange` cannot read the pattern `{pattern}`; "
            "write axis names, `->` and the same names in their new order, with parentheses around merged axes"
        )
    names = _names(left)
    if sorted(names) != sorted(_names(right)) or len(set(names)) != len(names):
        raise ValueError(f"`rearrange` pattern `{pattern}` must name the same axes on both sides, each once")
    return left, right


def _axes(text: str) -> Axes:
    """`b (h w) c` as [[b], [h, w], [c]]; empty if the text is not such a list."""
    found: Axes = []
    merged = False
    for token in re.findall(r"[a-z_][a-z0-9_]*|\S", text):
        if token == "(" and not merged:
            found.append([])
            merged = True
        elif token == ")" and merged and found[-1]:
            merged = False
        elif not token.isidentifier():
            return []
        elif merged:
            found[-1].append(token)
        else:
            found.append([token])
    return [] if merged else found


def _names(axes: Axes) -> list[str]:
    return [name for merged in axes for name in merged]


def _layout(axes: Axes) -> str:
    """The layout of a side of a pattern, as other layers know it."""
    names: list[str] = []
    for merged in axes:
        name = _axis_name(merged)
        names.append(name if name not in names else "_")
    return " ".join(names)


def _axis_name(merged: list[str]) -> str:
    """`(h p)` is h, `(h w)` and `(p q)` are n; what merges the batch is the batch, with channels they are channels."""
    if len(merged) == 1:
        return merged[0]
    known = [name for name in _KNOWN if name in merged]
    positions = [name for name in merged if name in _POSITIONS]
    return known[0] if known else positions[0] if len(positions) == 1 else "n"


def _rearranged_grid(
    inputs: Sequence[Any], *, pattern: str, sizes: Mapping[str, int] | None = None, layout: str | None = None
) -> TokenGrid | None:
    """The grid of tokens that stay an axis, or that are positions row by row: of a map, or of each of its windows.

    If this does not tell it, the tensor to be like does.
    """
    if layout is not None and layout.split() != _layout(_sides(pattern)[1]).split():
        return None
    x, (left, right) = inputs[0], _sides(pattern)
    like = inputs[1] if len(inputs) > 1 else None
    told: TokenGrid | None = None if like is None else like.grid
    tokens = next((merged for merged in right if _axis_name(merged) == "n"), [])
    if tokens == ["n"]:
        return x.grid if tokens in left and x.grid is not None else told
    lengths = _lengths(left, tuple(x.shape), _known(right, sizes, None if like is None else tuple(like.shape)))
    of = {name: _axis_name(merged) for merged in left for name in merged}
    rows_first = x.layout is not None and [of[name] for name in tokens] == ["h", "w"]
    return TokenGrid(lengths[tokens[0]], lengths[tokens[1]]) if rows_first else told


def _lengths(left: Axes, shape: Sequence[int], known: Mapping[str, int]) -> dict[str, int]:
    """The length of every axis that the pattern names."""
    found = dict(known)
    for merged, length in zip(left, shape, strict=True):
        rest = length // math.prod(known[name] for name in merged if name in known)
        found.update((name, rest) for name in merged if name not in known)
    return found


def _rearrange_code(
    names: list[str],
    inputs: Sequence[Any],
    *,
    pattern: str,
    sizes: Mapping[str, int] | None = None,
    layout: str | None = None,
) -> str:
    """The same as PyTorch code: an unflatten per axis that is split, a permutation, and a flatten per merge."""
    left, right = _sides(pattern)
    like = [_Code(f"{names[1]}.shape[{index}]") for index in range(len(right))] if len(names) > 1 else None
    known = _known(right, sizes, like)
    code = names[0]
    for index, merged in reversed(list(enumerate(left))):
        if len(merged) > 1:
            code += f".unflatten({index}, ({', '.join(str(known.get(name, -1)) for name in merged)}))"
    flat = _names(left)
    order = [flat.index(name) for merged in right for name in merged]
    if order != sorted(order):
        code += f".permute({', '.join(map(str, order))})"
    counts = [(index, len(merged)) for index, merged in enumerate(right) if len(merged) > 1]
    return code + "".join(f".flatten({index}, {index + count - 1})" for index, count in counts)


class _Code(str):
    """A number that is only known when the code runs."""

    def __floordiv__(self, divisor: int) -> _Code:
        return _Code(f"{self} // {divisor}")


@layer("rearrange", kind="shape", layout=_rearranged_layout, grid=_rearranged_grid, code=_rearrange_code)
def rearrange(
    x: Tensor,
    like: Tensor | None = None,
    *,
    pattern: str,
    sizes: dict[str, PositiveInt] | None = None,
    layout: str | None = None,
) -> Tensor:
    """Reorder axes, and merge or split those in parentheses, as in einops.

    `sizes` are lengths of axes that are split, one less than there are. With `from: [x, like]` further ones follow from
    the shape of `like`, which is that of the output. Windows of a map as tokens, and the map again:

        b (h p) (w q) c -> (b h w) (p q) c        sizes: {p: 7, q: 7}
        (b h w) (p q) c -> b (h p) (w q) c        sizes: {p: 7, q: 7}, from: [windows, map]

    Each window then stands in the batch for itself. Tokens of which nothing else is known, as behind an `axis_linear`,
    stand where those of `like` stand. The output's layout is the right side of `pattern`: `(h p)` is `h`, `(h w)` and
    `(p q)` are `n` (tokens), and a merge with `b` or `c` is `b` or `c`. A `layout` says otherwise: after
    `b g n m -> b g n m` and `layout: b c h w`, a convolution mixes the heads g of an attention like channels of a map.

    >>> import torch
    >>> rearrange(torch.zeros(2, 14, 21, 5), pattern="b (h p) (w q) c -> (b h w) (p q) c", sizes={"p": 7, "q": 7}).shape
    torch.Size([12, 49, 5])
    """
    known = _known(_sides(pattern)[1], sizes, None if like is None else like.shape)
    return einops.rearrange(x, pattern, **known)
