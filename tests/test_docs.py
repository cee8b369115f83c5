"""The guides: every whole spec on them composes, runs and trains a step."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

import composer

DOCS = Path(__file__).parents[1] / "examples/guides"
FENCE = re.compile(r"(?:<!-- beside: (\S+) -->\n)?^```yaml\n(.*?)^```", re.MULTILINE | re.DOTALL)
FOUND = [
    (page.name, index, beside, text)
    for page in sorted(DOCS.glob("*.md"))
    for index, (beside, text) in enumerate(FENCE.findall(page.read_text(encoding="utf-8")))
]


@pytest.mark.parametrize(
    ("page", "index", "beside", "text"), FOUND, ids=[f"{page}-{index}" for page, index, *_ in FOUND]
)
def test_its_specs_run_and_train_a_step(page, index, beside, text, tmp_path):
    if beside:
        (before,) = [other for name, number, _, other in FOUND if (name, number) == (page, index - 1)]
        (tmp_path / beside).write_text(before, encoding="utf-8")
    path = tmp_path / "spec.yaml"
    path.write_text(text, encoding="utf-8")
    model = composer.build(path)
    inputs = [torch.randn(2, *tensor.shape[1:]) for tensor in model.graph.root.inputs.values()]
    found = model(*inputs)
    outputs = found.values() if isinstance(found, dict) else [found]
    sum(output.square().mean() for output in outputs).backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
