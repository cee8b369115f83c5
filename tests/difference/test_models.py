"""A model of another library beside the same network of composer's: only what really differs is told."""

from __future__ import annotations

import composer


def test_names_of_blocks_and_starts_of_weights_are_no_difference() -> None:
    found = str(composer.diff("resnet18", "timm:resnet18"))
    lines = [line for line in found.splitlines() if line[:1] in "+-~"]
    assert [line.split()[:3] for line in lines if line.strip()] == [
        ["+", "layer*.*.drop_block", "identity"],
        ["+", "layer*.*.aa", "identity"],
        ["~", "global_pool", "SelectAdaptivePool2d"],
    ]
