"""Grad-CAM against the paper's equations written out, at maps, functions and tokens."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch

import composer
from composer.looking.class_activation import grad_cam

RESNET = {"backbone": "resnet18", "vars": {"num_classes": 5}}
SMALL = {
    "name": "small",
    "input": [3, 20, 28],
    "nodes": {
        "conv1": {"op": "conv2d", "out_channels": 6, "kernel_size": 3, "stride": 2},
        "bn1": "batch_norm",
        "act1": "relu",
        "conv2": {"op": "conv2d", "out_channels": 6, "kernel_size": 3},
        "add": {"op": "add", "from": ["conv2", "act1"]},
        "last": "channels_last",
        "norm": "layer_norm",
        "first": "channels_first",
        "pool": "global_avg_pool",
        "fc": {"op": "linear", "out_features": 4},
    },
}
TOKENS = {
    "name": "tokens",
    "input": [3, 24, 16],
    "nodes": {
        "proj": {"op": "conv2d", "out_channels": 8, "kernel_size": 4, "stride": 4, "padding": 0},
        "to_tokens": "map_to_tokens",
        "cls_token": {"op": "parameter", "shape": [1, 1, 8]},
        "tokens": {"op": "prepend_token", "from": ["cls_token", "to_tokens"]},
        "attn": {"op": "mhsa", "num_heads": 2},
        "take": "take_token",
        "fc": {"op": "linear", "out_features": 4},
    },
}


def image(*shape: int):
    return torch.randn((1, *shape), generator=torch.Generator().manual_seed(3))


def by_hand(forward_from, features, class_index, size, as_map=lambda value: value):
    """The paper's equations 1 and 2; then the package's scaling: to 0..1, to the image's size, and to 0..1 again."""
    leaf = features.detach().clone().requires_grad_()
    logits = forward_from(leaf.clone())
    index = int(logits.argmax()) if class_index is None else class_index
    (gradient,) = torch.autograd.grad(logits[0, index], leaf)
    values, gradient = as_map(leaf.detach())[0], as_map(gradient)[0]
    cam = torch.relu(sum(gradient[c].mean() * values[c] for c in range(len(values))))
    cam = bilinear(scaled(cam.double().numpy()), size)
    return torch.from_numpy(scaled(cam)).float()


def scaled(cam):
    cam = cam - cam.min()
    return cam / (1e-7 + cam.max())


def bilinear(cam, size):
    rows, columns = (axis(length, wanted) for length, wanted in zip(cam.shape, size, strict=True))
    return rows @ cam @ columns.T


def axis(length, wanted):
    """Weights of each old position in each new one, centres of pixels aligned."""
    found = np.zeros((wanted, length))
    for new in range(wanted):
        at = min(max((new + 0.5) * length / wanted - 0.5, 0), length - 1)
        low = min(int(at), length - 1)
        high = min(low + 1, length - 1)
        found[new, low] += 1 - (at - low)
        found[new, high] += at - low
    return found


@pytest.mark.parametrize("class_index", [None, 2])
@pytest.mark.parametrize("path", ["bn1", "add", "norm"])
def test_the_equations_written_out(path, class_index):
    model = composer.build(SMALL).eval()
    x, size = image(3, 20, 28), (20, 28)
    features = composer.features(model, {"f": path})(x)["f"]

    def after_add(value):
        return model.fc(model.norm(value.permute(0, 2, 3, 1)).mean((1, 2)))

    following = {
        "bn1": lambda value: after_add(model.conv2(value.relu()) + value.relu()),
        "add": after_add,
        "norm": lambda value: model.fc(value.mean((1, 2))),
    }[path]
    assert torch.allclose(following(features.clone()), model(x), atol=1e-5)
    as_map = (lambda value: value.permute(0, 3, 1, 2)) if path == "norm" else (lambda value: value)
    wanted = by_hand(following, features, class_index, size, as_map)
    assert wanted.max() > 0.9
    found = grad_cam(model, x, path, class_index)
    assert found.shape == size
    assert torch.allclose(found, wanted, atol=1e-5)


@pytest.mark.parametrize("class_index", [0, 3])
def test_tokens_behind_a_class_token(class_index):
    model = composer.build(TOKENS).eval()
    x = image(3, 24, 16)
    features = composer.features(model, {"f": "tokens"})(x)["f"]
    wanted = by_hand(
        lambda value: model.fc(model.attn(value)[:, 0]),
        features,
        class_index,
        (24, 16),
        lambda value: value[:, 1:].transpose(1, 2).reshape(1, 8, 6, 4),
    )
    assert wanted.any()
    assert torch.allclose(grad_cam(model, x, "tokens", class_index), wanted, atol=1e-5)


def test_patches_that_the_class_token_no_longer_reads_say_nothing():
    assert not grad_cam(composer.build(TOKENS), image(3, 24, 16), "attn").any()


def test_an_image_of_another_size_and_attention_behind_the_node():
    model = composer.build({**RESNET, "attention": [{"use": "bam", "after": "stage", "where": "not last"}]}).eval()
    x = image(3, 48, 80)
    found = grad_cam(model, x, "layer3", 1)
    assert found.shape == (48, 80)
    assert 0 <= found.min() < found.max() <= 1
    # What the rule put behind the stage is part of it.
    features = composer.features(model, {"f": "layer3"})(x)["f"]
    wanted = by_hand(lambda value: model.fc(model.layer4(value).mean((2, 3))), features, 1, (48, 80))
    assert torch.allclose(found, wanted, atol=1e-5)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode, torch.enable_grad])
def test_the_network_is_as_it_was(mode):
    model = composer.build(SMALL)
    model.bn1.eval()
    model.fc.weight.requires_grad_(False)
    model.conv1.weight.grad = torch.ones_like(model.conv1.weight)
    tensors = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    modes, learning = [one.training for one in model.modules()], [one.requires_grad for one in model.parameters()]
    state, x = torch.get_rng_state(), image(3, 20, 28)
    before = x.clone()
    with mode():
        grad_cam(model, x, "conv1")
    assert torch.equal(x, before)
    assert torch.equal(state, torch.get_rng_state())
    assert modes == [one.training for one in model.modules()]
    assert learning == [one.requires_grad for one in model.parameters()]
    assert all(torch.equal(tensors[name], tensor) for name, tensor in model.state_dict().items())
    assert [name for name, one in model.named_parameters() if one.grad is not None] == ["conv1.weight"]
    assert model.conv1.weight.grad.eq(1).all()
    assert not any(one._forward_hooks for one in model.modules())


def test_a_network_whose_weights_are_all_frozen():
    model = composer.build(SMALL).requires_grad_(False)
    assert grad_cam(model, image(3, 20, 28), "act1").max() > 0.9


@pytest.mark.parametrize(
    ("path", "x", "index", "text"),
    [
        ("conv7", image(3, 20, 28), None, "no node `conv7`"),
        ("fc", image(3, 20, 28), None, "which is no map"),
        ("conv1", image(3, 20, 28), 4, "no class 4"),
        ("conv1", image(3, 20, 28), -1, "no class -1"),
        ("conv1", image(1, 20, 28), None, "the image is 1×1×20×28"),
        ("conv1", torch.zeros(3, 20, 28), None, "the image is 3×20×28"),
    ],
)
def test_what_does_not_fit_is_said(path, x, index, text):
    with pytest.raises(composer.InputError, match=text):
        grad_cam(composer.build(SMALL), x, path, index)


def test_a_network_without_classes():
    with pytest.raises(composer.InputError, match="that gives classes"):
        grad_cam(composer.features(composer.build(SMALL), {"a": "conv1", "b": "conv2"}), image(3, 20, 28), "conv1")


def test_without_the_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "pytorch_grad_cam", None)
    with pytest.raises(composer.UnavailableError, match=r"attention-composer\[look\]"):
        grad_cam(composer.build(SMALL), image(3, 20, 28), "conv1")
