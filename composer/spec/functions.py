"""The functions that expressions may call."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from composer.arithmetic import make_divisible

MAX_LIST = 10_000


@dataclass(frozen=True, slots=True)
class Function:
    """A function that expressions may call.

    least, most  how many numbers it takes
    takes_list   whether a single list may replace them
    empty        whether that list may be empty
    """

    call: Callable[..., Any]
    least: int = 1
    most: int = 1
    takes_list: bool = False
    empty: bool = False


def _make_divisible(value: float, divisor: float = 8) -> int:
    if divisor < 1 or divisor != int(divisor):
        raise ValueError("the divisor must be a whole number above 0")
    return make_divisible(value, int(divisor))


def _round(value: float, digits: int = 0) -> int | float:
    if digits != int(digits) or abs(digits) > 15:
        raise ValueError("digits are a whole number from -15 to 15")
    return round(value, int(digits)) if digits else round(value)


def _log2(value: float) -> float:
    if value <= 0:
        raise ValueError("only numbers above 0 have a logarithm")
    return math.log2(value)


def _sqrt(value: float) -> float:
    if value < 0:
        raise ValueError("negative numbers have no square root")
    return math.sqrt(value)


def _pow(base: float, exponent: float) -> int | float:
    # Python computes an integer power exactly, which may take forever.
    try:
        found = math.pow(base, exponent)
    except (ValueError, OverflowError):
        raise ValueError("it is no finite real number") from None
    whole = isinstance(base, int) and isinstance(exponent, int) and exponent >= 0
    return int(found) if whole else found


FUNCTIONS = {
    "min": Function(min, 1, MAX_LIST, takes_list=True),
    "max": Function(max, 1, MAX_LIST, takes_list=True),
    "sum": Function(sum, 1, MAX_LIST, takes_list=True, empty=True),
    "round": Function(_round, 1, 2),
    "floor": Function(math.floor),
    "ceil": Function(math.ceil),
    "len": Function(len),
    "log2": Function(_log2),
    "sqrt": Function(_sqrt),
    "pow": Function(_pow, 2, 2),
    "abs": Function(abs),
    "int": Function(int),
    "make_divisible": Function(_make_divisible, 1, 2),
}
