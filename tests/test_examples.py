"""Every spec under examples/ composes, runs and trains a step."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import composer

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.yaml"))
# Files of blocks, which other specs use: tests/test_block_plugins.py.
PLUGINS = {"large_kernel"}


@pytest.mark.parametrize("path", [path for path in EXAMPLES if path.stem not in PLUGINS], ids=lambda path: path.stem)
def test_it_runs_and_trains_a_step(path):
    model = composer.build(path)
    inputs = [torch.randn(2, *tensor.shape[1:]) for tensor in model.graph.root.inputs.values()]
    found = model(*inputs)
    outputs = list(found.values()) if isinstance(found, dict) else [found]
    assert [output.shape for output in outputs] == [tensor.shape for tensor in model.graph.outputs.values()]
    sum(output.square().mean() for output in outputs).backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
