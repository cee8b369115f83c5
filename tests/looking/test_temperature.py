"""The curve is what annealing a network sets, and a softmax at a temperature what its router computes."""

from __future__ import annotations

import pytest
import torch

import composer
from composer.looking.temperature import curve, softmax_at
from composer.mechanisms.kernel.dynconv import DynamicConv


@pytest.mark.parametrize("options", [{}, {"temperature": 12.5, "annealing_epochs": 4}, {"annealing_epochs": 0}])
def test_a_network_is_annealed_just_so(options):
    rule = {"use": "dynconv", "replace": "layer4.0.conv2", "with": options}
    model = composer.build({"backbone": "resnet18", "vars": {"num_classes": 2}, "attention": [rule]})
    wanted = [composer.anneal(model, epoch=epoch)["layer4.0.conv2"] for epoch in range(13)]
    assert curve(13, options) == wanted


def test_thirty_falls_to_one():
    found = curve(12)
    assert found[0] == 30
    assert found[10:] == [1, 1]
    assert found == sorted(found, reverse=True)
    assert curve(0) == []


def test_nothing_random_is_drawn_for_the_reader():
    state = torch.get_rng_state()
    curve(3)
    assert torch.equal(state, torch.get_rng_state())


def test_the_router_computes_the_same_softmax():
    conv = DynamicConv(3, 2, num_experts=5)
    torch.nn.init.normal_(conv.fc2.weight)
    x = torch.randn(1, 3, 4, 4)
    logits = conv.fc2(conv.act(conv.fc1(x.mean((2, 3)))))[0]
    temperatures = [conv.anneal(epoch) for epoch in (0, 5, 10)]
    wanted = [conv.attention(x)[0] for epoch in (0, 5, 10) if conv.anneal(epoch)]
    assert torch.allclose(softmax_at(logits, temperatures), torch.stack(wanted), atol=1e-6)


def test_hotter_is_flatter():
    hot, cold = softmax_at(torch.tensor([0.0, 1.0, 4.0]), [30, 1])
    assert hot.max() < 0.4 < 0.9 < cold.max()


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: curve(3, mechanism="se"), "`se` is no mechanism"),
        (lambda: curve(3, mechanism="sé"), "`sé` is no mechanism"),
        (lambda: curve(3, {"temprature": 3.0}), "temprature"),
        (lambda: curve(3, {"temperature": -1.0}), "greater than 0"),
        (lambda: softmax_at(torch.zeros(2), [1.0, 0.0]), "temperatures are positive"),
    ],
)
def test_what_cannot_be_is_said(call, text):
    with pytest.raises(ValueError, match=text):
        call()
