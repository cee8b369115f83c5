"""The scripts for other trainers are short, and train."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[2] / "examples" / "trainers"
NAMES = ["plain", "timm_utilities", "transformers_trainer", "fastai_learner"]
SLOW = {"timm_utilities", "transformers_trainer", "fastai_learner"}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name for name in NAMES]
)
def test_script_trains(name, tmp_path):
    for file in SCRIPTS.iterdir():
        if file.is_file():
            (tmp_path / file.name).write_bytes(file.read_bytes())
    # What training changed is seen at the end of the script.
    script = tmp_path / f"{name}.py"
    with script.open("a") as stream:
        stream.write('\nfor key, one in composer.build("gated.yaml").state_dict().items():\n')
        stream.write("    if not one.equal(model.state_dict()[key].cpu()):\n        print('changed', key)\n")
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "WANDB_DISABLED": "true", "NO_COLOR": "1"}
    command = [sys.executable, script]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr[-2000:]
    changed = {line.split()[1] for line in done.stdout.splitlines() if line.startswith("changed ")}
    assert {"layer1.0.eca.conv.weight", "fc.weight"} <= changed
    assert ("layer1.0.conv1.weight" in changed) == (name != "transformers_trainer")


@pytest.mark.parametrize("name", NAMES)
def test_script_has_ten_lines(name):
    text = (SCRIPTS / f"{name}.py").read_text(encoding="utf-8")
    documented = ast.get_docstring(ast.parse(text))
    assert documented
    assert len([line for line in text.splitlines()[1:] if line.strip()]) <= 10
