"""What the tests that run over every mechanism are told of one: a file of `cases/` for each mechanism.

`cases/NAME.py` defines `CASE = Case(…)` for the mechanism NAME. What follows from the registry (facts, kinds, words and
flags of options) stands there and not here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, get_args

from pydantic.fields import FieldInfo

Options = Mapping[str, Any]
# (kind of the law, its number): ("normal", deviation), ("uniform", end), ("constant", value)
Law = tuple[str, float]


@dataclass(frozen=True)
class Short:
    """The law of a vector of so few numbers that those of several starts are judged together."""

    law: Law


# Laws by parameter, or by module and its parameters; None where a test of its own holds it.
Laws = Mapping[str, "Law | Short | Mapping[str, Law | Short] | None"]
# A check of the contract with options in words, `kernel_size=9 bias=False`, empty for the defaults.
Place = tuple[str, str]

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


def others(field: FieldInfo) -> list[str | bool]:
    """What an option that is a word or a flag may be besides its default; none for a number."""
    every = (False, True) if field.annotation is bool else get_args(field.annotation)
    return [one for one in every if isinstance(one, (str, bool)) and one != field.default]


def in_words(options: Options) -> str:
    return " ".join(f"{name}={value}" for name, value in options.items())


def reduced(c: int, options: Options, usual: int = 16) -> int:
    """The width d of a bottleneck: c / reduction, at least 1."""
    return int(max(1, c // options.get("reduction", usual)))


# One image leaves a BatchNorm of pooled vectors one number for each channel.
BATCH_OF_TWO = "in training it needs a batch of at least 2"
ONE_IMAGE: Mapping[Place, str] = {("", "trains on one image"): BATCH_OF_TWO}


@dataclass(frozen=True, kw_only=True)
class Case:
    """What the tests over every mechanism are told of one.

    starts     (options, groups of the convolution that it replaces, laws): how each parameter is drawn at C channels on
               7 × 7. At least one, with the options at which every weight has enough numbers; where no option gives
               enough, the law is `Short(…)`
    values     (options, shape, rule): what `attention(x)` gives for `b` 3, `c` 64, `h w` 5 × 7 and `n` = h w tokens, as
               `b c 1 1`. Rule: a pair is an open interval that holds them; a number is the axis that sums to 1; None
               where they are neither. At least one
    options    what the contract's battery is run with besides the defaults: options that change the computation
    refusals   (options in words, check of the contract) -> how its refusal starts; the words are those of `options`,
               `kernel_size=9 bias=False`, and empty for the defaults. Whatever else the battery finds must be ok
    left_out   (options in words, check or `*` for all) -> why it is not run
    numbers    numbers to try of each option that is neither a word nor a flag, besides its default
    costs      (options, the words of the docstring's `Params` and `MACs` that hold with them, such as `without bias`)
    letters    (c, h, w, conv, options) -> what letters of `Params` and `MACs` stand for, besides c, h, w, k, g, o, h',
               w', n; conv is out_channels, kernel_size, stride and groups
    small      options for a map of 4 × 4
    noise      the share of a ResNet-18's output that PT2E's eight bits may change, with the mechanism in its third
               stage, and int8 weights alone a quarter of it; of a plain one PT2E changes 0.09, and more where a
               stage's convolutions give way to attention
    least      side of the smallest map that it takes
    class_token  whether it goes only where tokens have a class token in front of them
    fused      the passes ("forward", "backward") in which torch's flash attention takes its softmax over tokens
    """

    starts: Sequence[tuple[Options, int, Laws]]
    values: Sequence[tuple[Options, str, tuple[float, float] | int | None]]
    options: Sequence[Options] = ()
    refusals: Mapping[Place, str] = field(default_factory=dict)
    left_out: Mapping[Place, str] = field(default_factory=dict)
    numbers: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    costs: Sequence[tuple[Options, Sequence[str]]] = ()
    letters: Callable[..., Mapping[str, int]] = lambda *place: {}
    small: Options = field(default_factory=dict)
    noise: float = 0.2
    least: int = 1
    class_token: bool = False
    fused: Sequence[str] = ()
