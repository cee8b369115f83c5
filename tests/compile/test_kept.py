"""Files that an earlier version wrote are read: a pickle of an edited network, a lock, and its weights."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import torch

import composer

FOLDER = Path(__file__).parent / "kept"


def test_an_old_pickle_runs_in_a_fresh_process_and_knows_its_graph():
    code = f"""
import torch
values = torch.load({str(FOLDER / "values.pt")!r})
model = torch.load({str(FOLDER / "edited.pt")!r}, weights_only=False)
with torch.no_grad():
    torch.testing.assert_close(model(values["input"]), values["output"])
import inspect
assert "self.cbam(" in inspect.getsource(type(model.body[0]).forward)
assert "class unit(nn.Module)" in inspect.getsource(type(model.body[0]))
assert model.graph.edits[0].startswith("head is Linear(in_features=8, out_features=3")
print(model.graph)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("<Graph kept:")


def test_an_old_lock_builds_with_its_weights():
    values = torch.load(FOLDER / "values.pt")
    model = composer.build(FOLDER / "kept.lock.yaml", weights=FOLDER / "kept.safetensors").eval()
    with torch.no_grad():
        torch.testing.assert_close(model.forward_features(values["input"]), values["features"])
