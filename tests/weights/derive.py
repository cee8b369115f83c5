"""A key map between two models that are the same network under different names.

    python tests/weights/derive.py torchvision:mobilenet_v2 mobilenetv2_100 > specs/keys/torchvision_mobilenet_v2.yaml

The first is `torchvision:NAME`, `timm:NAME` or a weights file, the second a spec. Tensors are paired by shape and,
among those of one shape, by order: two that stand in another order would be swapped. So read what it says, put a first
line `# whose -> ours` before it, and give it a test in `test_keys.py`.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from pathlib import Path

import torch

import composer
from composer.weights import read_checkpoint
from composer.weights.names import Shapes, shapes_of

COUNTER = "num_batches_tracked"


def derive(theirs: Shapes, ours: Shapes) -> dict[str, str]:
    """Their beginnings of names -> ours, as few as say it without a star. Raises ValueError where shapes differ."""
    pairs = _pair(theirs, ours)
    found: dict[str, str] = {}
    for name, own in pairs.items():
        start, mine = _without_common_end(name, own)
        # A module whose own name stays needs no line; another module of that beginning may.
        if found.setdefault(start, mine) != mine:
            found[name] = own
    return {start: mine for start, mine in found.items() if start != mine}


def _pair(theirs: Shapes, ours: Shapes) -> dict[str, str]:
    waiting: dict[tuple[int, ...], list[str]] = {}
    for name, shape in ours.items():
        waiting.setdefault((name.endswith(COUNTER), *shape), []).append(name)
    pairs = {}
    for name, shape in theirs.items():
        rest = waiting.get((name.endswith(COUNTER), *shape))
        if not rest:
            raise ValueError(f"no tensor of ours is left for {name} {shape}")
        pairs[name] = rest.pop(0)
    if left := [name for rest in waiting.values() for name in rest if not name.endswith(COUNTER)]:
        raise ValueError(f"nothing of theirs is left for {left[0]} and {len(left) - 1} others")
    return pairs


def _without_common_end(one: str, other: str) -> tuple[str, str]:
    first, second = one.split("."), other.split(".")
    while len(first) > 1 and len(second) > 1 and first[-1] == second[-1]:
        first.pop()
        second.pop()
    return ".".join(first), ".".join(second)


def shapes_in(source: str) -> Shapes:
    """Names and shapes of a model of another library, or of a file."""
    library, colon, name = source.partition(":")
    if not colon:
        return _shapes(read_checkpoint(Path(source)).tensors)
    with torch.device("meta"):
        if library == "timm":
            return _shapes(importlib.import_module("timm").create_model(name).state_dict())
        return _shapes(importlib.import_module("torchvision").models.get_model(name, weights=None).state_dict())


def _shapes(tensors: Mapping[str, torch.Tensor]) -> Shapes:
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


if __name__ == "__main__":
    for start, mine in derive(shapes_in(sys.argv[1]), shapes_of(composer.graph(sys.argv[2]))).items():
        print(f"{start}: {mine}")
