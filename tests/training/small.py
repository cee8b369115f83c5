"""A small network and its runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

import composer
from composer.training.run import Run

SMALL: dict[str, Any] = {
    "name": "small",
    "input": [1, 16, 16],
    "vars": {"num_classes": 10},
    "nodes": {
        "conv1": {"op": "conv2d", "out_channels": 8, "kernel_size": 3, "stride": 2, "padding": 1},
        "bn1": "batch_norm",
        "act1": "relu",
        "conv2": {"op": "conv2d", "out_channels": 16, "kernel_size": 3, "stride": 2, "padding": 1},
        "bn2": "batch_norm",
        "act2": "relu",
        "drop": {"op": "dropout", "p": 0.1},
        "pool": "global_avg_pool",
        "fc": {"op": "linear", "out_features": "$num_classes", "site": "head"},
    },
}


def trained(folder: Path, recipe: dict[str, Any], **options: Any) -> Run:
    """A run of the small network on digits."""
    return composer.train(SMALL, "digits", out=folder, recipe=recipe, say=lambda text: None, **options)


def kept(run: Run) -> list[Any]:
    """What the last checkpoint holds, and the best weights."""
    found = run.checkpoint
    assert found is not None
    folder = run.folder / "checkpoints"
    names = found["weights"], found["progress"]["best"]["file"]
    return [*(load_file(folder / name) for name in names), torch.load(folder / found["state"], weights_only=True)]


def equal(one: Any, other: Any) -> bool:
    """Whether nested values are equal, tensors bit for bit."""
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(equal(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(equal, one, other))
    return bool(one == other)


def rows(run: Run) -> list[dict[str, Any]]:
    """The history, without how long it took."""
    return [{key: value for key, value in row.items() if key != "seconds"} for row in run.history]


def record(run: Run) -> dict[str, Any]:
    """run.json."""
    found: dict[str, Any] = json.loads((run.folder / "run.json").read_text(encoding="utf-8"))
    return found
