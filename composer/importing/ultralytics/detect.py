"""Ultralytics' head `Detect` -> a node whose outputs are those of its convolutions, before boxes are decoded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from composer.importing.ultralytics.file import ModelFile
from composer.importing.ultralytics.layers import Layer

# Rows with these modules make classifiers of depthwise convolutions, as models since YOLO11 have.
_SINCE_YOLO11 = {"C3k2", "A2C2f"}
_OUTPUTS = ("boxes", "scores")


def detect_node(model: ModelFile, layers: Sequence[Layer], sources: Sequence[int]) -> dict[str, Any]:
    """The keys of the node, without its inputs."""
    channels = {one.row.number: one.channels for one in layers}
    first = channels[sources[0]]
    light = any(one.row.module in _SINCE_YOLO11 for one in layers)
    args = {
        "box_width": max(16, first // 4, 4 * model.bins),
        "class_width": f"${{max({first}, min(num_classes, 100))}}",
        "class_head": "detect_classes" if light else "detect_classes_v8",
        "bins": model.bins,
    }
    return {"block": "detect_end2end" if model.end2end else "detect", "args": args}


def detect_outputs(model: ModelFile) -> tuple[str, ...]:
    """Names of the node's outputs."""
    return (*_OUTPUTS, *(f"one2one_{name}" for name in _OUTPUTS if model.end2end))
