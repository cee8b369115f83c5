"""A small network for every format, with weights and statistics that make every node speak."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import composer

SMALL = """\
name: small
input: [3, 24, 24]
nodes:
  stem: {op: conv2d, out_channels: 8, kernel_size: 3, stride: 2, padding: 1, site: stem}
  norm: {op: batch_norm, site: branch}
  act: relu
  conv: {op: conv2d, out_channels: 8, kernel_size: 3, padding: 1}
  norm2: batch_norm
  pool: global_avg_pool
  fc: {op: linear, out_features: 4, site: head}
outputs: fc
attention:
  - {use: cbam, after: branch, with: {reduction: 4}}
"""


def awake(model: nn.Module) -> nn.Module:
    """The network with norms that change something."""
    generator = torch.Generator().manual_seed(3)
    for one in model.modules():
        if isinstance(one, nn.BatchNorm1d | nn.BatchNorm2d):
            for tensor, low in ((one.weight, 0.5), (one.bias, -1), (one.running_mean, -1), (one.running_var, 0.5)):
                if tensor is not None:
                    nn.init.uniform_(tensor, low, low + 1, generator=generator)
    return model


@pytest.fixture
def spec(tmp_path):
    path = tmp_path / "small.yaml"
    path.write_text(SMALL)
    return path


@pytest.fixture
def model(spec):
    return awake(composer.build(spec)).eval()


def pytest_collection_modifyitems(items):
    # What converters warn of is theirs.
    for item in items:
        if "export" in item.path.parts:
            item.add_marker(pytest.mark.filterwarnings("ignore"))
