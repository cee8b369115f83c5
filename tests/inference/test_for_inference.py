"""Faster models, step by step: they compute the same, say what they gained, and leave the model as it was."""

from __future__ import annotations

import json
from typing import Any

import pytest
import timm
import torch
from torch import Tensor, nn

import composer
from composer import inference
from composer.benchmark.interval import paired_ratio
from composer.inference import make
from tests.inference.table import lines


def images(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(2))


def test_all_steps_compute_the_same_and_the_model_stays_as_it_was() -> None:
    model = timm.create_model("resnet18", num_classes=5).train()
    before = {name: one.clone() for name, one in model.state_dict().items()}
    x = images(2, 3, 64, 64)
    fast = composer.for_inference(model, x, channels_last=True, dtype=torch.bfloat16, runs=0)
    assert [one.name for one in fast.steps] == ["fold", "channels_last", "bfloat16"]
    assert fast.steps[0].note == "20 of 20 batch norms"
    assert next(fast.model.parameters()).dtype == torch.bfloat16
    found = fast(x)
    assert found.dtype == torch.float32
    assert model.training
    with torch.no_grad():
        torch.testing.assert_close(found, model.eval()(x), rtol=0.05, atol=0.05)
        assert fast.whole.difference.largest == (found - model(x)).abs().max()
    assert 0 < fast.whole.difference.relative < 0.05
    assert fast.undo() is model
    assert all(torch.equal(one, before[name]) for name, one in model.state_dict().items())
    assert "not measured" in str(fast)
    json.dumps(fast.to_json())


def test_each_step_is_measured_against_the_one_before(monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = []

    def timed(runners: Any, kind: str, settings: Any, tell: Any) -> list[list[float]]:
        pairs.append([one.model for one in runners])
        # The step with channels_last is slower, the others are faster.
        return [[1.2 if runners[0].name == "channels_last" else 0.8] * 8, [1.0] * 8]

    monkeypatch.setattr(make, "times", timed)
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8))
    fast = composer.for_inference(model, images(2, 3, 9, 9), channels_last=True, dtype=torch.bfloat16, runs=8)
    assert [str(one.ratio) for one in fast.steps] == [
        "0.800 (0.800-0.800)",
        "1.200 (1.200-1.200)",
        "0.800 (0.800-0.800)",
    ]
    folded, last, half, whole = pairs
    assert last[1] is folded[0]
    assert half[1] is last[0]
    assert whole == [half[0], folded[1]]
    assert fast.model is half[0]
    pairs.clear()
    fast = composer.for_inference(
        model, images(2, 3, 9, 9), channels_last=True, dtype=torch.bfloat16, only_faster=True, runs=8
    )
    assert [one.kept for one in fast.steps] == [True, False, True]
    folded, last, half, whole = pairs
    assert half[1] is folded[0]
    assert not fast.model.form.channels_last


def test_real_times_are_of_the_models_that_are_named() -> None:
    class Slow(nn.Module):
        """Takes longer in float32 than in float64."""

        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(1))

        def forward(self, x: Tensor) -> Tensor:
            for _ in range(1 if x.dtype == torch.float64 else 400):
                x = x * self.weight
            return x

    fast = composer.for_inference(Slow(), images(4, 4), dtype=torch.float64, runs=8)
    assert fast.steps[0].note == "nothing to fold"
    assert fast.steps[0].ratio is None
    assert fast.steps[1].ratio is not None
    assert fast.steps[1].ratio.shown
    assert fast.steps[1].ratio.value < 0.5
    assert composer.for_inference(Slow(), images(4, 4), runs=0).whole.ratio is None


def test_compiled_models_are_called_as_before() -> None:
    nodes = {
        "conv": {"op": "conv2d", "out_channels": 8, "kernel_size": 3},
        "bn": "batch_norm",
        "pool": "global_avg_pool",
    }
    model, x = composer.build({"input": [3, 16, 16], "nodes": nodes}), images(1, 3, 16, 16)
    fast = composer.for_inference(model, x, channels_last=True, compile=True, runs=0)
    assert hasattr(fast.model.model, "_orig_mod")
    with torch.no_grad():
        torch.testing.assert_close(fast(x), model.eval()(x), rtol=1e-3, atol=1e-3)


def test_nested_inputs_and_outputs_keep_their_dtypes() -> None:
    class Nested(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 1)

        def forward(self, images: list[Tensor], *, scale: Tensor) -> dict[str, Any]:
            found = [self.conv(one) * scale for one in images]
            return {"maps": found, "best": found[0].argmax(1), "n": len(found)}

    call = ([images(1, 3, 4, 4), images(1, 3, 5, 5)],), {"scale": torch.tensor(2.0)}
    fast = composer.for_inference(Nested(), call, channels_last=True, dtype=torch.bfloat16, runs=0)
    found = fast(*call[0], **call[1])
    assert [one.dtype for one in found["maps"]] == [torch.float32] * 2
    assert found["best"].dtype == torch.int64
    assert found["n"] == 2


def test_networks_on_videos_have_weights_that_are_not_laid_out_anew() -> None:
    model = nn.Sequential(nn.Conv3d(3, 4, 1), nn.BatchNorm3d(4), nn.Flatten(2), nn.Flatten(1), nn.Linear(32, 2))
    x = images(1, 3, 2, 2, 2)
    fast = composer.for_inference(model, x, channels_last=True, runs=0)
    torch.testing.assert_close(fast(x), model.eval()(x))


def test_what_does_not_work_is_said() -> None:
    class Large(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.full((1,), 1e3))

        def forward(self, x: Tensor) -> Tensor:
            return x * self.weight

    class Single(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(1))

        def forward(self, x: Tensor) -> Tensor:
            return x @ torch.ones(4, 4)

    x = torch.full((4, 4), 1e3)
    with pytest.raises(composer.InputError, match="after the step `float16`, outputs are not finite"):
        composer.for_inference(Large(), x, dtype=torch.float16, runs=0)
    with pytest.raises(composer.InputError, match="the model after the step `bfloat16` cannot run"):
        composer.for_inference(Single(), x, dtype=torch.bfloat16, runs=0)
    with pytest.raises(ValueError, match="floating point"):
        composer.for_inference(Large(), x, dtype=torch.int8)
    with pytest.raises(ValueError, match="6 at least"):
        composer.for_inference(Large(), x, only_faster=True, runs=5)
    with pytest.raises(ValueError, match="threads=0"):
        composer.for_inference(Large(), x, threads=0)


def test_the_table_says_what_was_measured() -> None:
    ratio = paired_ratio([1.0] * 8, [2.0] * 8)
    apart = inference.calls.Difference(0.1, 0.01)
    steps = [inference.Step("fold", None, apart, True), inference.Step("compile", ratio, apart, True)]
    whole = inference.Step("all", ratio, apart, True)
    fast = inference.Optimised(nn.Identity(), nn.Identity(), steps, whole, "cpu")
    text = "\n".join(lines({("resnet50", 2): fast}, 8, 224, 1.4))
    assert "| network | threads | fold | compile | all | difference |" in text
    row = "| resnet50 | 2 | nothing to fold | 0.500 (0.500-0.500) | 0.500 (0.500-0.500) | 0.01 |"
    assert row in text
