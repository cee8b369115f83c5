"""The command line in this process: as users type it, without paying for a new interpreter."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from composer.cli.app import main


@dataclass
class Result:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    def invoke(*words: object) -> Result:
        monkeypatch.setattr(sys, "argv", ["composer", *map(str, words)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as exit:
            main()
        captured = capsys.readouterr()
        return Result(int(exit.value.code or 0), captured.out, captured.err)

    return invoke


@pytest.fixture
def small(tmp_path):
    """A spec of a small network with attention."""
    path = tmp_path / "small.yaml"
    path.write_text(
        """\
name: small
input: {shape: [3, 32, 32], mean: [0.5, 0.5, 0.5], std: [0.25, 0.25, 0.25], crop: 0.8}
vars: {width: 8}
nodes:
  stem: {op: conv2d, out_channels: $width, kernel_size: 3, stride: 2, site: stem}
  bn: {op: batch_norm, site: branch}
  pool: global_avg_pool
  fc: {op: linear, out_features: 4, site: head}
outputs: {logits: fc}
attention:
  - {use: se, after: branch, with: {reduction: 4}}
classes: [ant, bee, cat, dog]
"""
    )
    return path
