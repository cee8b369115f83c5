"""Tensors in nested arguments and results: where each stands, and a name for it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor

from composer.dag.host import Where


def tensors_in(value: Any, where: Where = ()) -> Iterator[tuple[Where, Tensor]]:
    """The tensors in nested tuples, lists and mappings (also transformers' outputs), with where they stand."""
    if isinstance(value, Tensor):
        yield where, value
    elif isinstance(value, Mapping):
        for key, one in value.items():
            yield from tensors_in(one, (*where, key if isinstance(key, int) else str(key)))
    elif isinstance(value, tuple | list):
        for number, one in enumerate(value):
            yield from tensors_in(one, (*where, number))
    elif isinstance(value, slice):
        yield from tensors_in((value.start, value.stop, value.step), where)


def key_of(where: Where, taken: Mapping[str, Any]) -> str:
    """A name that is not taken for one of several results."""
    return free_key(taken, word_of(where) or "output")


def free_key(taken: Mapping[str, Any], wanted: str) -> str:
    """The name, as an identifier; or, if it is taken, `name_2`, `name_3` …"""
    name = word = re.sub(r"\W", "_", wanted)
    number = 1
    while name in taken:
        number += 1
        name = f"{word}_{number}"
    return name


def word_of(where: Where) -> str:
    """The steps to a tensor as one identifier; empty for the tensor itself."""
    return re.sub(r"\W", "_", "_".join(map(str, where)))
