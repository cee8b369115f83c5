"""Statistics and gradients of nodes, against hooks on the same module and PyTorch's own functions."""

from __future__ import annotations

import copy

import pytest
import torch
from torch.nn.functional import cross_entropy

import composer
from composer.errors import InputError
from composer.values.activations import activations
from composer.values.gradients import gradients

NETWORK = {"backbone": "resnet18", "input": [3, 64, 64], "attention": [{"use": "se", "after": "branch"}]}


@pytest.fixture(scope="module", params=["ours", "timm"])
def model(request):
    torch.manual_seed(0)
    source = NETWORK if request.param == "ours" else {"backbone": {"timm": "resnet18"}, "input": [3, 64, 64]}
    found = composer.build(source)
    for module in found.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            # Some of the first values of branches are 0, and a channel of each norm is dead behind its activation.
            module.weight.data.uniform_(0.5, 1.5)
            module.bias.data.uniform_(-1, 1)[0] = -100
    return found.train()


@pytest.fixture(scope="module")
def images():
    generator = torch.Generator().manual_seed(1)
    return torch.randn(3, 3, 64, 64, generator=generator)


@pytest.fixture(scope="module")
def expected(model, images):
    """Path -> outputs with their gradients of a plain forward and backward pass, one image at a time."""
    twin = copy.deepcopy(model).eval()
    paths = {node.path for node in model.graph.root.walk()}
    for module in twin.modules():
        if hasattr(module, "inplace"):
            module.inplace = False
    found = {}
    for image in images:
        outputs, slopes = {}, {}

        def keep(_, __, out, name, outputs=outputs, slopes=slopes):
            if isinstance(out, torch.Tensor) and out.requires_grad:
                # A copy, because timm adds shortcuts in place.
                outputs[name] = out.detach().clone()
                out.register_hook(lambda gradient: slopes.update({name: gradient}))

        handles = [
            module.register_forward_hook(lambda *told, name=name: keep(*told, name=name))
            for name, module in twin.named_modules()
            if name in paths
        ]
        logits = twin(image[None].clone().requires_grad_())
        cross_entropy(logits, logits.argmax(1)).backward()
        for name, out in outputs.items():
            found.setdefault(name, []).append((out, slopes[name]))
        for handle in handles:
            handle.remove()
    return found


def test_statistics_are_those_of_hooks(model, images, expected):
    before = {key: one.clone() for key, one in model.state_dict().items()}
    values = {one.key: one.numbers for one in activations(model, images.split(2))}
    assert list(values) == ["mean", "std", "zeros", "dead"]
    assert len(expected) > 30
    for path, pairs in expected.items():
        outputs = torch.cat([out for out, _ in pairs]).double()
        assert values["mean"][path] == pytest.approx(float(outputs.mean()), rel=1e-4, abs=1e-6), path
        assert values["std"][path] == pytest.approx(float(outputs.std(correction=0)), rel=1e-4, abs=1e-6), path
        assert values["zeros"][path] == pytest.approx(float((outputs == 0).double().mean())), path
        silent = (outputs == 0).transpose(0, 1).flatten(1).all(1)
        assert values["dead"][path] == pytest.approx(float(silent.double().mean())), path
    assert max(one for one in values["dead"].values() if one is not None) > 0
    assert model.training
    assert all(torch.equal(one, before[key]) for key, one in model.state_dict().items())


def test_gradients_are_those_of_hooks(model, images, expected):
    model.get_parameter("conv1.weight").grad = torch.ones(64, 3, 7, 7)
    numbers = gradients(model, images.split(2)).numbers
    for path, pairs in expected.items():
        norms = [float(gradient.double().norm()) for _, gradient in pairs]
        assert numbers[path] == pytest.approx(sum(norms) / len(norms), rel=1e-3), path
    assert model.training
    assert all(one.requires_grad for one in model.parameters())
    assert torch.equal(model.get_parameter("conv1.weight").grad, torch.ones(64, 3, 7, 7))
    assert model.get_parameter("layer1.0.conv1.weight").grad is None


def test_a_network_without_logits_has_no_such_gradient():
    model = composer.features("resnet18")
    assert activations(model, [torch.zeros(1, 3, 64, 64)])[0].numbers
    with pytest.raises(InputError, match="gives c1 ") as caught:
        gradients(model, [torch.zeros(1, 3, 64, 64)])
    assert "one vector of logits" in str(caught.value)
