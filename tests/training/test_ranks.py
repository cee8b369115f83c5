"""Two processes that train together have the losses of one with the same batch."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

VIT = {"backbone": "vit_tiny_patch16_224", "input": [1, 32, 32], "vars": {"depth": 2}}
RESNET = {"backbone": "resnet18", "input": [1, 32, 32]}
TRAIN = {"steps": 6, "batch": 32, "dtype": "float64", "augment": {"flip": True, "pad": 2}}


def history(folder: Path, spec: dict[str, Any], *more: str) -> list[dict[str, float]]:
    file = folder.with_suffix(".yaml")
    file.write_text(yaml.safe_dump(spec, sort_keys=False))
    command = [sys.executable, "-m", "composer", "train", str(file), "-o", str(folder), *more]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    with (folder / "history.csv").open() as stream:
        return [{key: float(value) for key, value in row.items()} for row in csv.DictReader(stream)]


@pytest.mark.slow
@pytest.mark.parametrize(("network", "more"), [(VIT, {}), (RESNET, {"freeze_norms": True})], ids=["vit", "resnet"])
def test_two_ranks_have_the_losses_of_one(tmp_path, network, more):
    spec = {**network, "train": {**TRAIN, **more}}
    one = history(tmp_path / "one", spec)
    two = history(tmp_path / "two", spec, "--devices", "2", "--strategy", "ddp")
    assert len(one) == len(two) == 1
    for name in ("training_loss", "validation_loss", "metric"):
        assert two[0][name] == pytest.approx(one[0][name], rel=1e-9)
