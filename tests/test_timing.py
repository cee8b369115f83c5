"""Measured time: of every operation, adding up, and the network as it was."""

from __future__ import annotations

import time

import pytest
import torch

import composer
from composer.timing import measure

SPEC = {
    "backbone": "resnet18",
    "input": [3, 32, 32],
    "vars": {"num_classes": 3},
    "attention": [{"use": "cbam", "after": "branch", "start": "identity"}],
}


def test_every_operation_has_a_time_and_together_they_took_no_longer_than_the_clock():
    model = composer.build(SPEC)
    start = time.perf_counter()
    found = measure(model, runs=1)
    took = time.perf_counter() - start
    assert list(found) == [node.path for node, _ in model.graph.operations]
    assert all(seconds >= 0 for seconds in found.values())
    assert 0 < sum(found.values()) <= took


def test_functions_are_timed_inside_blocks_too():
    @composer.layer("nap")
    def nap(x: torch.Tensor, *, seconds: composer.PositiveFloat = 0.02) -> torch.Tensor:
        time.sleep(seconds)
        return x

    nodes = {
        "conv": {"op": "conv2d", "out_channels": 2, "kernel_size": 1},
        "short": {"op": "nap", "seconds": 0.01},
        "body": {"block": "body"},
        "pool": "global_avg_pool",
    }
    spec = {"name": "naps", "input": [1, 4, 4], "nodes": nodes, "blocks": {"body": {"nodes": {"long": "nap"}}}}
    found = measure(composer.build(spec), runs=1)
    # Sleeping may last longer, never shorter.
    assert found["body.long"] >= 0.02
    assert found["short"] >= 0.01


def test_the_median_of_the_runs_behind_the_first(monkeypatch):
    model = composer.build({"name": "one", "input": [1, 2, 2], "nodes": {"act": "relu"}})
    # One start and one end each: 100 s to warm up, then 3, 1 and 2.
    ticks = iter([0, 100, 200, 203, 300, 301, 400, 402])
    monkeypatch.setattr("composer.timing.time.perf_counter", lambda: float(next(ticks)))
    assert measure(model, runs=3) == {"act": 2.0}
    assert next(ticks, None) is None


def test_the_batch_is_what_was_asked_for_and_several_inputs_are_fed():
    seen = []
    nodes = {"add": {"op": "add", "from": ["left", "right"]}, "bn": "batch_norm"}
    model = composer.build({"name": "two", "inputs": {"left": [2, 4, 4], "right": [2, 4, 4]}, "nodes": nodes})
    model.bn.register_forward_hook(lambda module, inputs, output: seen.append((inputs[0].shape[0], module.training)))
    assert set(measure(model, batch=3, runs=2)) == {"add", "bn"}
    assert seen == [(3, False)] * 3
    assert model.training


def test_the_network_is_as_it_was():
    model = composer.build(SPEC)
    model.layer2.eval()
    tensors = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    modes, state = [module.training for module in model.modules()], torch.get_rng_state()
    measure(model, runs=1)
    assert torch.equal(state, torch.get_rng_state())
    assert modes == [module.training for module in model.modules()]
    assert all(torch.equal(tensors[name], tensor) for name, tensor in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_tokens_parameters_and_half_precision():
    model = composer.build("vit_tiny_patch16_224", dtype=torch.bfloat16)
    found = measure(model, runs=1)
    assert {"cls_token", "pos_embed", "blocks.11.mlp.fc2"} <= found.keys()


def test_what_cannot_be_measured_is_said():
    model = composer.build(SPEC)
    for wrong in ({"runs": 0}, {"batch": 0}):
        with pytest.raises(ValueError, match="at least 1"):
            measure(model, **wrong)
    with pytest.raises(ValueError, match="meta device"):
        measure(composer.build(SPEC, device="meta"))
    with pytest.raises(ValueError, match="meta device"):
        measure(model, device="meta")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_copy_runs_on_another_device():
    model = composer.build(SPEC)
    found = measure(model, device="cuda", runs=2)
    assert all(seconds > 0 for path, seconds in found.items() if "gamma" not in path)
    assert next(model.parameters()).device.type == "cpu"
