"""Small networks to compare, quick to compose, and images to train them on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

NETWORK = """\
name: tiny
input: [3, 16, 16]
vars: {widths: [8, 16], depths: [1, 1], num_classes: 4}
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
    args: {width: , depth: }
    nodes:
      down: {op: conv2d, out_channels: $width, kernel_size: 3, stride: 2}
      units: {block: unit, repeat: $depth, args: {width: $width}}
nodes:
  stages: {block: stage, repeat: 2, args: {width: "${widths[index]}", depth: "${depths[index]}"}}
  pool: global_avg_pool
  head: {op: linear, out_features: $num_classes, site: head}
"""


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str], Path]:
    """Writes a comparison beside a network `tiny.yaml`; returns its path."""
    (tmp_path / "tiny.yaml").write_text(NETWORK)

    def written(text: str) -> Path:
        path = tmp_path / "compare.yaml"
        path.write_text(text)
        return path

    return written
