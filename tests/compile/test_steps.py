"""A network run operation by operation computes what its forward does."""

from __future__ import annotations

import pytest
import torch

import composer
from composer.compile.steps import run_steps

SPECS = [
    "resnet18",
    "mobilenetv3_small_100",
    "densenet121",
    "vit_tiny_patch16_224",
    "convnext_tiny",
    pytest.param("vgg11_bn", marks=pytest.mark.slow),
]


@pytest.mark.parametrize("spec", SPECS)
def test_steps_are_the_forward(spec):
    model = composer.build(spec, vars={"num_classes": 3}).eval()
    size = model.graph.root.inputs["input"].without_batch if "vit" in spec else (3, 64, 64)
    x = torch.randn(1, *size)
    seen = []
    with torch.no_grad():
        (found,) = run_steps(model, x, lambda node, value: (seen.append(node.path), value)[1]).values()
        assert torch.equal(found, model(x))
    assert set(seen) == {node.path for node in model.graph.root.walk()}
    assert len(seen) == len(set(seen))


def test_several_outputs_and_attention():
    spec = {"backbone": "resnet18", "attention": [{"use": "cbam", "after": "branch", "start": "identity"}]}
    model = composer.features(composer.build(spec).eval(), {"a": "layer2.0.bn2", "b": "layer3"})
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        found, wanted = run_steps(model, x), model(x)
    assert found.keys() == wanted.keys()
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)


def test_what_then_gives_goes_on():
    model = composer.build("resnet18").eval()
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        (found,) = run_steps(model, x, lambda node, value: value * 0 if node.path == "global_pool" else value).values()
    assert torch.equal(found[0], model.fc.bias)
