"""Arithmetic of convolutions, shared by specs, layers and mechanisms."""

from __future__ import annotations

from collections.abc import Iterator

# A number for rows and columns, or a number for each.
Both = int | tuple[int, int]


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


def same_padding(kernel_size: Both, dilation: Both) -> tuple[int, int]:
    """The padding, for rows and columns, with which an odd kernel keeps the size of its input at stride 1."""
    (rows, columns), (down, across) = pair(kernel_size), pair(dilation)
    return down * (rows - 1) // 2, across * (columns - 1) // 2


def undivided(in_channels: int, out_channels: int, groups: int) -> Iterator[tuple[int, str]]:
    """The input or output channels that do not divide into the groups: their number, and a message."""
    for what, channels in (("input", in_channels), ("output", out_channels)):
        if channels % groups:
            yield channels, f"{channels} {what} channels do not divide into {groups} groups"
