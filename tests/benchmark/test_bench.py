"""Networks measured side by side: what is slower is slower, memory is what autograd keeps, nothing is changed."""

from __future__ import annotations

import json
import time

import pytest
import torch
from torch import Tensor, nn

import composer
from composer.benchmark import free_memory as memory
from composer.benchmark.settings import PASSES
from composer.summary.memory import activation_memory

SMALL = {"backbone": "resnet18", "name": "small", "input": {"shape": [3, 64, 64]}, "vars": {"num_classes": 10}}
QUICK = {"device": "cpu", "runs": 3, "batch": 2, "memory": False}


class Waits(nn.Linear):
    """A layer that waits for a while first."""

    def __init__(self, seconds: float) -> None:
        super().__init__(4, 4)
        self.seconds = seconds

    def forward(self, x: Tensor) -> Tensor:
        time.sleep(self.seconds)
        return super().forward(x)


def test_times_and_their_ratio() -> None:
    # A wait is never shorter than it should be; what the machine does besides lengthens both.
    found = composer.bench(Waits(0.06), vs=Waits(0.02), example=torch.zeros(2, 4), **{**QUICK, "runs": 5, "batch": 2})
    slow, fast, *steps = found.rows
    assert [row.network for row in found.rows] == ["Waits", "Waits (2)"] * 2
    assert (found.versus, fast.ratio, [row.kind for row in steps]) == ("Waits (2)", None, ["step", "step"])
    assert len(slow.times) == 5
    assert slow.latency >= 0.06
    assert slow.ratio is not None
    assert slow.ratio.value > 1
    assert "Waits (2)" in str(found)
    # Five runs show no difference, however large.
    assert str(found).endswith(found.lacking)
    assert "6 at least" in found.lacking
    assert found.head.count("float32") == 1


def test_a_module_is_left_as_it_is() -> None:
    model = composer.build(SMALL).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    composer.bench(model, **QUICK)
    assert model.training
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_another_librarys_model_is_called_as_it_wants_to_be() -> None:
    config = {"model_type": "vit", "image_size": 32, "patch_size": 8, "hidden_size": 32, "num_hidden_layers": 2}
    spec = {"backbone": {"transformers": {**config, "num_attention_heads": 2, "intermediate_size": 32}}}
    found = composer.bench("timm:vit_tiny_patch16_224", spec, img_size=32, **QUICK)
    assert {row.network for row in found.rows} >= {"timm:vit_tiny_patch16_224"}
    assert set(found.inputs.values()) == {"float32, batch 2, 3×32×32"}


def test_memory_of_a_step_is_what_autograd_keeps_and_gradients() -> None:
    graph = composer.graph(SMALL)
    batch = 32
    kept = batch * sum(activation_memory(graph.root).values()) + 4 * graph.num_parameters
    (forward, step) = composer.bench(SMALL, device="cpu", runs=1, batch=batch, threads=1).rows
    assert forward.memory is not None
    assert step.memory is not None
    # What an operation needs only while it runs, and gradients of maps, come on top.
    assert 0.95 * kept < step.memory < 2 * kept
    assert forward.memory < 0.5 * step.memory


def test_settings_reach_the_networks() -> None:
    seen = []

    class Notes(nn.Conv2d):
        def forward(self, x: Tensor) -> Tensor:
            y = super().forward(x)
            seen.append((torch.get_num_threads(), y.dtype, x.is_contiguous(memory_format=torch.channels_last)))
            return y

    before = torch.get_num_threads()
    composer.bench(
        Notes(3, 3, 1), example=torch.zeros(2, 3, 4, 4), amp=True, channels_last=True, threads=1, **{**QUICK, "runs": 1}
    )
    assert set(seen) == {(1, torch.bfloat16, True)}
    assert torch.get_num_threads() == before


def test_a_modules_own_batch_dtype_and_words_count() -> None:
    class Named(nn.Linear):
        def forward(self, *, x: Tensor) -> Tensor:
            return super().forward(x)

    found = composer.bench(
        Named(4, 4).bfloat16(), example={"x": torch.zeros(5, 4).bfloat16()}, passes="forward", **QUICK
    )
    (row,) = found.rows
    assert (row.batch, row.kind, row.to_json()["per_second"]) == (5, "forward", 5 / row.latency)
    assert "bfloat16, batch 5, 4" in found.head


def test_each_operation_by_itself() -> None:
    found = composer.bench(SMALL, nodes=True, passes=("forward",), **QUICK)
    assert found.nodes["small"].keys() == {node.path for node, _ in composer.graph(SMALL).operations}
    assert all(seconds > 0 for seconds in found.nodes["small"].values())


@pytest.mark.parametrize(
    ("networks", "given", "text"),
    [
        ((), {}, "there is no network to measure"),
        ((nn.Linear(2, 2),), {}, "nothing says what `Linear` is called with"),
        ((nn.Linear(2, 2),), {"passes": "fwd"}, "`fwd` is no pass"),
        ((nn.Flatten(),), {"example": torch.zeros(2, 4)}, "no output of `Flatten` has a gradient"),
        ((SMALL | {"input": {"shape": [3, 32, 32]}},), {"batch": 1}, "`small` does not train on one example"),
    ],
)
def test_what_cannot_be_measured_is_said(networks, given, text) -> None:
    with pytest.raises(composer.InputError, match=text):
        composer.bench(*networks, **{**QUICK, **given})


def test_a_number_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="runs=0: it is at least 1"):
        composer.bench(SMALL, **{**QUICK, "runs": 0})


def test_what_does_not_fit_is_said_before_it_is_built(monkeypatch) -> None:
    monkeypatch.setattr(memory, "free_memory", lambda device: 300_000_000)
    with pytest.raises(composer.InputError, match=r"a training step of `small` at batch 512 needs .* are free"):
        composer.bench(SMALL, **{**QUICK, "batch": 512})
    with pytest.raises(composer.InputError, match="the networks' parameters"):
        composer.bench(*["vit_base_patch16_224"], passes=("forward",), **QUICK)


def test_free_memory_is_known_here() -> None:
    free = memory.free_memory(torch.device("cpu"))
    assert free is None or 2**20 < free < 2**50


@pytest.mark.slow
def test_compiled_code_runs_and_what_cannot_be_compiled_is_said() -> None:
    found = composer.bench(SMALL, compile=True, **QUICK)
    assert [row.kind for row in found.rows] == [*PASSES]
    assert "compile" in found.head


def test_the_command(run, tmp_path) -> None:
    path, page = tmp_path / "times.json", tmp_path / "net.html"
    words = ("bench", "resnet18", "--vs", "timm:resnet18", "--size", "32x32", "--runs", "2", "--no-memory")
    done = run(*words, "--pass", "forward", "--nodes", "-o", str(path))
    assert done.code == 0
    assert done.out.startswith("cpu, ")
    assert "3×32×32, 2 runs in turn" in done.out
    assert "the slowest operations of resnet18" in done.out
    found = json.loads(path.read_text())
    assert [row["network"] for row in found["rows"]] == ["resnet18", "timm:resnet18"]
    assert found["settings"]["batch"] == 8
    assert found["rows"][0]["ratio"].keys() == {"value", "low", "high", "runs", "difference_shown"}
    assert run("graph", "resnet18", "--color", path, "-o", page).code == 0
    assert page.stat().st_size > 50_000
    other = run("graph", "vgg11", "--color", path, "-o", tmp_path / "other.html")
    assert other.code == 1
    assert "has no times of `vgg11`" in other.err
