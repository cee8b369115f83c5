"""On tasks with a known answer, attention learns what it must: examples/compare has both in full size."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import composer

EXAMPLES = Path(__file__).parents[2] / "examples/compare"
MEASURE = runpy.run_path(str(EXAMPLES / "measure.py"))


def network(name: str, side: int, rule: dict[str, Any], seed: int = 0) -> Any:
    """A network of the examples with a mechanism, untrained."""
    shape = {"shape": [1, side, side], "mean": [0.25], "std": [0.15]}
    spec = {"backbone": str(EXAMPLES / f"networks/{name}.yaml"), "input": shape, "attention": [rule]}
    return composer.build(spec, seed=seed).eval()


def learn(model: Any, images: Any, targets: Any, lr: float, epochs: int = 6, batch: int = 32) -> None:
    """A plain training, of seconds."""
    x, y = MEASURE["prepared"](model, images), torch.from_numpy(targets).long()
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, total_steps=epochs * (len(x) // batch), pct_start=0.1)
    generator = torch.Generator().manual_seed(0)
    model.train()
    for _ in range(epochs):
        order = torch.randperm(len(x), generator=generator)
        for indices in order[: len(x) // batch * batch].view(-1, batch):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(x[indices]), y[indices]).backward()
            optimizer.step()
            schedule.step()
    model.eval()


def test_a_spatial_gate_finds_the_letter_that_is_asked_for() -> None:
    draw = runpy.run_path(str(EXAMPLES / "where_task.py"))["draw"]
    (images, targets, _, _), (test, classes, letter, others) = draw(2000, 0, 2), draw(300, 1, 2)
    data = {"x_test": test, "y_test": classes, "object_test": letter, "distractors_test": others}
    model = network("letters", 24, {"use": "cbam_spatial", "after": "features"})
    before = MEASURE["where"](model, data)
    assert before["mass over area"] == pytest.approx(1, abs=0.2)
    assert before["AUC against other letters"] < 0.6
    learn(model, images, targets, 0.01)
    after = MEASURE["where"](model, data)
    assert after["accuracy"] > 0.9
    assert after["mass over area"] > 1.6
    assert after["AUC against other letters"] > 0.75
    assert after["AUC against all else"] > 0.75
    assert after["gate on the object"] > after["gate on other letters"] + 0.3


def test_selective_kernels_switch_with_the_scale_that_is_asked_for() -> None:
    draw = runpy.run_path(str(EXAMPLES / "scale_task.py"))["draw"]
    (images, masks, _, _), (test, asked, others, scales) = draw(1000, 0), draw(200, 1)
    data = {"x_test": test, "y_test": asked, "others_test": others, "scales_test": scales}
    model = network("squares", 28, {"use": "sk", "replace": "spatial_conv"})
    before = MEASURE["scale"](model, data)
    assert before["change of the channel that changes most"] < 0.01
    learn(model, images, masks, 0.02)
    after = MEASURE["scale"](model, data)
    assert after["correlation with the scale"] > 0.8
    assert (
        after["share of the larger kernel, large asked for"]
        > 0.1 + after["share of the larger kernel, small asked for"]
    )
    assert after["asked squares found"] > 0.5 > 0.1 > after["other squares found"]
    # What decides is the shares: those of an image with the other bar find the other squares.
    assert (
        after["others, with the shares of the other bar"] > 0.5 > 0.1 > after["asked, with the shares of the other bar"]
    )


def test_the_measures_of_gates_with_a_known_answer() -> None:
    inside, others = np.zeros((2, 3, 8, 8), bool)
    inside[:, 2:4, 2:4] = True
    others[:, 6, 6] = True
    perfect, nothing = inside.astype(float), np.ones_like(inside, dtype=float)
    assert MEASURE["auc"](perfect, inside, ~inside) == 1
    assert MEASURE["auc"](nothing, inside, ~inside) == 0.5
    assert MEASURE["best_overlap"](perfect, inside) == 1
    assert MEASURE["best_overlap"](nothing, inside) == pytest.approx(4 / 64)
    assert MEASURE["at_the_peak"](perfect, inside, others) == (1, 1)
    hit, nearer = MEASURE["at_the_peak"](nothing, inside, others)
    assert hit == pytest.approx(4 / 64)
    assert 0.5 < nearer < 1
