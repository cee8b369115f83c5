"""A small network to scan, and images to train it on."""

from __future__ import annotations

from pathlib import Path

import pytest

NETWORK = """\
name: tiny
input: [3, 16, 16]
vars: {widths: [8, 16], num_classes: 3}
blocks:
  unit:
    site: block
    args: {width: }
    nodes:
      conv: {op: conv2d, out_channels: $width, kernel_size: 3, site: spatial_conv}
      bn: {op: batch_norm, site: branch}
      act: relu
  stage:
    site: stage
    args: {width: }
    nodes:
      down: {op: conv2d, out_channels: $width, kernel_size: 3, stride: 2}
      units: {block: unit, repeat: 2, args: {width: $width}}
nodes:
  stages: {block: stage, repeat: 2, args: {width: "${widths[index]}"}}
  pool: global_avg_pool
  head: {op: linear, out_features: $num_classes, site: head}
train: {steps: 4, batch: 16}
"""


@pytest.fixture
def network(tmp_path: Path) -> Path:
    """A network with four blocks in two stages."""
    path = tmp_path / "tiny.yaml"
    path.write_text(NETWORK)
    return path
