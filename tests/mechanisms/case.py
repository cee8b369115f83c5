"""What the tests that run over every mechanism are told of one: a file of `cases/` for each mechanism.

`cases/NAME.py` defines `CASE = Case(…)` for the mechanism NAME. What follows from the registry (facts, kinds, words and
flags of options) stands there and not here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Options = Mapping[str, Any]
# (kind of the law, its number): ("normal", deviation), ("uniform", end), ("constant", value)
Law = tuple[str, float]
# Laws by parameter, or by module and its parameters; None where a test of its own holds it.
Laws = Mapping[str, "Law | Mapping[str, Law] | None"]

ZERO: Law = ("constant", 0.0)
ONE: Law = ("constant", 1.0)
NORM = {"weight": ONE, "bias": ZERO}
# Weights are judged at 512 channels in and out on 7 × 7, reduction 2, so that each has enough numbers.
C, D = 512, 256


def normal(deviation: float) -> Law:
    return ("normal", deviation)


def he(count: float) -> Law:
    return normal(math.sqrt(2 / count))


def uniform(fan: float) -> Law:
    """PyTorch's own, by the inputs of an output."""
    return ("uniform", 1 / math.sqrt(fan))


@dataclass(frozen=True, kw_only=True)
class Case:
    """What the tests over every mechanism are told of one.

    starts     (options, groups of the convolution that it replaces, laws): how each parameter is drawn at C channels on
               7 × 7. At least one, with the options at which every weight has enough numbers
    values     (options, shape, rule): what `attention(x)` gives for `b` 3, `c` 64, `h w` 5 × 7 and `n` = h w tokens, as
               `b c 1 1`. Rule: a pair is an open interval that holds them; a number is the axis that sums to 1; None
               where they are neither. At least one
    options    what the contract's battery is run with besides the defaults: options that change the computation
    refusals   (options in words, check of the contract) -> how its refusal starts; the words are those of `options`,
               `kernel_size=9 bias=False`, and empty for the defaults. Whatever else the battery finds must be ok
    numbers    numbers to try of each option that is neither a word nor a flag, besides its default
    costs      (options, the words of the docstring's `Params` and `MACs` that hold with them, such as `without bias`)
    letters    (c, h, w, conv, options) -> what letters of `Params` and `MACs` stand for, besides c, h, w, k, g, o, h',
               w', n; conv is out_channels, kernel_size, stride and groups
    small      options for a map of 4 × 4
    noise      the share of a ResNet-18's output that PT2E's 8 bits may change, with the mechanism in its third stage
    """

    starts: Sequence[tuple[Options, int, Laws]]
    values: Sequence[tuple[Options, str, tuple[float, float] | int | None]]
    options: Sequence[Options] = ()
    refusals: Mapping[tuple[str, str], str] = field(default_factory=dict)
    numbers: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    costs: Sequence[tuple[Options, Sequence[str]]] = ()
    letters: Callable[..., Mapping[str, int]] = lambda *place: {}
    small: Options = field(default_factory=dict)
    noise: float = 0.2
