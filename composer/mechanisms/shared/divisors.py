"""Channels must divide into groups or heads: checks this, and finds the nearest valid numbers."""

from __future__ import annotations

import math

from composer.arithmetic import undivided


def nearest_divisors(number: int, wanted: int) -> str:
    """The divisors of `number` just below and just above `wanted`, in words.

    >>> nearest_divisors(100, 8), nearest_divisors(64, 1000)
    ('5 or 10', '64')
    """
    small = [one for one in range(1, math.isqrt(number) + 1) if number % one == 0]
    divisors = {*small, *(number // one for one in small)}
    below = max((one for one in divisors if one <= wanted), default=None)
    above = min((one for one in divisors if one >= wanted), default=None)
    return " or ".join(str(one) for one in dict.fromkeys((below, above)) if one is not None)


def divisor_at_most(number: int, most: int) -> int:
    """The largest divisor of `number` that is not above `most`.

    >>> divisor_at_most(144, 32), divisor_at_most(16, 32), divisor_at_most(37, 32)
    (24, 16, 1)
    """
    return max(one for one in range(1, min(number, most) + 1) if number % one == 0)


def groups_of(name: str, channels: int, groups: int | None, most: int) -> int:
    """The groups that are asked for, or the most of them, up to `most`, into which the channels divide.

    Raises ValueError, with the nearest valid numbers, if the channels do not divide into those asked for.

    >>> groups_of("ema", 144, None, 32)
    24
    """
    if groups is None:
        return divisor_at_most(channels, most)
    if channels % groups:
        text = f"{channels} channels do not divide into {groups} groups"
        raise ValueError(f"{name}: {text}; set groups to {nearest_divisors(channels, groups)}")
    return groups


def check_groups(name: str, in_channels: int, out_channels: int, groups: int) -> None:
    """Raises ValueError, with the nearest valid numbers of groups, if a convolution's channels do not divide."""
    for _, text in undivided(in_channels, out_channels, groups):
        nearest = nearest_divisors(math.gcd(in_channels, out_channels), groups)
        raise ValueError(f"{name}: {text}; set groups to {nearest}")


def dim_of_heads(name: str, channels: int, num_heads: int, otherwise: str = "") -> int:
    """Channels per head. Raises ValueError, with the nearest valid numbers of heads, if they do not divide."""
    if channels % num_heads:
        nearest = nearest_divisors(channels, num_heads)
        text = f"{channels} channels do not divide into {num_heads} heads; set num_heads to {nearest}"
        raise ValueError(f"{name}: {text}{otherwise}")
    return channels // num_heads


def heads_of(channels: int, head_dim: int) -> int:
    """The most heads, at least 1, into which channels divide with no less than `head_dim` in each.

    >>> heads_of(96, 32), heads_of(112, 32), heads_of(24, 32)
    (3, 2, 1)
    """
    return next(heads for heads in range(max(1, channels // head_dim), 0, -1) if channels % heads == 0)
