"""Arithmetic of convolutions, shared by specs, layers and mechanisms."""

from __future__ import annotations

from collections.abc import Iterator

# A number for rows and columns, or a number for each.
Both = int | tuple[int, int]
# A number for all axes of positions, or a number for each.
Each = int | tuple[int, ...]


def make_divisible(value: float, divisor: int = 8) -> int:
    """The multiple of the divisor nearest to the value, but at most 10 % below the value (MobileNet's rule).

    >>> make_divisible(91.2), make_divisible(30, 16)
    (88, 32)
    """
    rounded = max(divisor, int(value + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * value else rounded


def pair(value: Both) -> tuple[int, int]:
    """The size for rows, and for columns."""
    return (value, value) if isinstance(value, int) else value


def lengths(value: Each, spatial_dims: int) -> tuple[int, ...]:
    """A length for each axis of positions. Raises ValueError for another number of lengths.

    >>> lengths(3, 2), lengths((1, 3, 3), 3)
    ((3, 3), (1, 3, 3))
    """
    if isinstance(value, int):
        return (value,) * spatial_dims
    if len(value) != spatial_dims:
        raise ValueError(f"{list(value)} has {len(value)} lengths for {spatial_dims} axes; write one for each axis")
    return value


def same_padding(kernel_size: Both, dilation: Both) -> tuple[int, int]:
    """The padding, for rows and columns, with which an odd kernel keeps the size of its input at stride 1."""
    rows, columns = same_paddings(kernel_size, dilation, 2)
    return rows, columns


def same_paddings(kernel_size: Each, dilation: Each, spatial_dims: int) -> tuple[int, ...]:
    """The padding, for each axis of positions, with which an odd kernel keeps the size of its input at stride 1."""
    sizes = zip(lengths(kernel_size, spatial_dims), lengths(dilation, spatial_dims), strict=True)
    return tuple(step * (size - 1) // 2 for size, step in sizes)


def undivided(in_channels: int, out_channels: int, groups: int) -> Iterator[tuple[int, str]]:
    """The input or output channels that do not divide into the groups: their number, and a message."""
    for what, channels in (("input", in_channels), ("output", out_channels)):
        if channels % groups:
            yield channels, f"{channels} {what} channels do not divide into {groups} groups"
