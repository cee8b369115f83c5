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
    """Their names -> ours: whole modules of equal contents first, in their order, then single tensors."""
    pairs: dict[str, str] = {}
    modules, known = _modules(theirs), _modules(ours)
    for contents, paths in modules.items():
        for path, own in zip(paths, known.get(contents, ()), strict=False):
            pairs.update({_joined(path, leaf): _joined(own, leaf) for leaf, _ in contents})
    taken = set(pairs.values())
    waiting: dict[object, list[str]] = {}
    for name, shape in ours.items():
        if name not in taken:
            waiting.setdefault(_kind(name, shape), []).append(name)
    for name, shape in theirs.items():
        if name not in pairs:
            rest = waiting.get(_kind(name, shape))
            if not rest:
                raise ValueError(f"no tensor of ours is left for {name} {shape}")
            pairs[name] = rest.pop(0)
    if left := [name for rest in waiting.values() for name in rest if not name.endswith(COUNTER)]:
        raise ValueError(f"nothing of theirs is left for {left[0]} and {len(left) - 1} others")
    return {name: pairs[name] for name in theirs}


def _modules(shapes: Shapes) -> dict[tuple[object, ...], list[str]]:
    """Contents of a module (names of its tensors with their shapes) -> the paths of such modules."""
    contents: dict[str, list[object]] = {}
    for name, shape in shapes.items():
        path, _, leaf = name.rpartition(".")
        contents.setdefault(path, []).append((leaf, _kind(name, shape)))
    found: dict[tuple[object, ...], list[str]] = {}
    for path, inside in contents.items():
        found.setdefault(tuple(inside), []).append(path)
    return found


def _kind(name: str, shape: tuple[int, ...]) -> object:
    """What a tensor has in common with its like: a linear layer and a 1×1 convolution hold the same numbers."""
    return name.endswith(COUNTER), tuple(length for length in shape if length != 1)


def _joined(path: str, leaf: str) -> str:
    return f"{path}.{leaf}" if path else leaf


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
