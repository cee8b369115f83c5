"""Loads pickled models in a process that has imported nothing else: a path per line of its input, an answer per line.

The answer is empty if the model gives what it gave before it was pickled, and else says what is wrong.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor


def tensors(value: Any) -> Iterator[Tensor]:
    """The tensors in nested tuples, lists and mappings."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from tensors(one)
    elif isinstance(value, tuple | list):
        for one in value:
            yield from tensors(one)


def answer(path: str) -> str:
    """What is wrong with the model in a file, in one line; empty if nothing is."""
    try:
        saved = torch.load(path, weights_only=False)
        torch.manual_seed(0)
        with torch.no_grad():
            found = list(tensors(saved["model"](*saved["args"], **saved["kwargs"])))
    except Exception as error:
        return f"{type(error).__name__}: {error}".splitlines()[0]
    same = len(found) == len(saved["output"]) and all(map(torch.equal, found, saved["output"]))
    return "" if same else "its output differs"


def main() -> None:
    """Answer until the input ends."""
    answers, sys.stdout = sys.stdout, sys.stderr  # libraries print
    for line in sys.stdin:
        print(answer(line.strip()), file=answers, flush=True)


if __name__ == "__main__":
    main()
