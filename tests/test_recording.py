"""Attention values are collected beside the forward pass, which stays the same bit for bit."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import composer
from composer.mechanisms.kernel.splat import SplitAttention


def build(*rules, backbone="resnet18"):
    return composer.build({"backbone": backbone, "vars": {"num_classes": 5}, "attention": list(rules)}, seed=1)


CBAM = {"use": "cbam", "after": "branch", "where": "stage >= 3"}
SK = {"use": "sk", "replace": "layer1.*.conv2"}
MHSA = {"use": "mhsa", "after": "layer4", "tokens": "pixels"}


@pytest.mark.parametrize("training", [False, True])
def test_outputs_state_and_random_numbers_stay_the_same(training):
    plain, recorded = build(CBAM, SK, MHSA).train(training), build(CBAM, SK, MHSA).train(training)
    x = torch.randn(2, 3, 64, 64)
    torch.manual_seed(3)
    with composer.record(recorded) as values:
        y = recorded(x)
    after = torch.rand(1)
    torch.manual_seed(3)
    assert torch.equal(y, plain(x))
    assert torch.equal(after, torch.rand(1))
    for name, tensor in plain.state_dict().items():
        assert torch.equal(tensor, recorded.state_dict()[name]), name
    assert {path: tuple(value.shape) for path, value in values.items()} == {
        "layer1.0.conv2": (2, 2, 64, 1, 1),
        "layer1.1.conv2": (2, 2, 64, 1, 1),
        "layer3.0.cbam": (2, 256, 4, 4),
        "layer3.1.cbam": (2, 256, 4, 4),
        "layer4.0.cbam": (2, 512, 2, 2),
        "layer4.1.cbam": (2, 512, 2, 2),
        "layer4.out_mhsa": (2, 8, 4, 4),
    }
    assert not any(value.requires_grad for value in values.values())


def test_gradients_flow_as_without():
    model = build(CBAM, MHSA)
    x = torch.randn(2, 3, 64, 64)
    with composer.record(model):
        model(x).sum().backward()
    found = {name: parameter.grad.clone() for name, parameter in model.named_parameters()}
    other = build(CBAM, MHSA)
    other(x).sum().backward()
    assert all(torch.equal(found[name], parameter.grad) for name, parameter in other.named_parameters())


def test_values_are_those_of_each_input_and_passes_are_joined():
    model = build(CBAM).eval()
    x = torch.randn(3, 3, 64, 64)
    with composer.record(model) as whole:
        model(x)
    with composer.record(model) as parts:
        model(x[:1])
        model(x[1:])
    assert set(whole) == set(parts)
    assert all(torch.allclose(whole[path], parts[path], atol=1e-5) for path in whole)


def test_the_fused_path_stays_in_use(monkeypatch):
    calls = []
    fused = torch.nn.functional.scaled_dot_product_attention
    monkeypatch.setattr(
        torch.nn.functional, "scaled_dot_product_attention", lambda *a, **k: calls.append(1) or fused(*a, **k)
    )
    model = composer.build("vit_base_patch16_224", vars={"depth": 2, "dim": 64, "num_heads": 4}).eval()
    calls.clear()
    with composer.record(model) as values:
        model(torch.randn(1, 3, 224, 224))
    assert len(calls) == 2
    assert [value.shape for value in values.values()] == [(1, 4, 197, 197)] * 2
    assert torch.allclose(values["blocks.0.attn"].sum(-1), torch.ones(1, 4, 197))


def test_hooks_are_gone_afterwards_even_after_an_error():
    model = build(CBAM)
    with pytest.raises(RuntimeError), composer.record(model):
        model(torch.randn(2, 7, 64, 64))
    assert not any(module._forward_pre_hooks for module in model.modules())


def test_modules_of_other_networks_and_those_without_values():
    model = nn.Sequential(SplitAttention(8, 8, radix=0), nn.Sequential(SplitAttention(8, 8)))
    with composer.record(model) as values:
        model(torch.randn(2, 8, 5, 5))
    assert list(values) == ["1.0"]


@pytest.mark.parametrize("compiled", ["wrapped", "in place", "a part"])
def test_compiled_code_that_runs_no_hooks_is_not_taken_for_a_network_without_attention(compiled):
    torch.compiler.reset()
    model = network = build(CBAM).eval()
    if compiled == "wrapped":
        network = torch.compile(model, backend="eager")
    elif compiled == "in place":
        model.compile(backend="eager")
    else:
        model.layer4 = torch.compile(model.layer4, backend="eager")
    x = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        network(x)
        with pytest.raises(ValueError, match="record the module that was compiled"), composer.record(network):
            network(x)
        with torch.compiler.set_stance("force_eager"), composer.record(network) as values:
            network(x)
    assert len(values) == 4
    with composer.record(torch.compile(nn.Sequential(nn.ReLU()))) as values:
        pass
    assert values == {}
