"""Networks of the squeeze-and-excitation and gather-excite papers beside the layers of the authors' Caffe files.

Rewritten from the order and strides of SE-ResNet-50.prototxt and RN50-GEP, -GEPF and -GEPP.prototxt. Left out is how
Caffe lays out its first pooling: from the first pixel on, where ours begins one before it.
"""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from backbones.peers import randomised

import composer

DEPTHS, SIZE = (3, 4, 6, 3), 64


class Layers:
    """The layers of a prototxt as functions, over the weights of one of our networks."""

    def __init__(self, weights):
        self.weights = weights

    def conv(self, x, name, stride=1, pad=0, group=1):
        return F.conv2d(x, self.weights[f"{name}.weight"], self.weights.get(f"{name}.bias"), stride, pad, 1, group)

    def norm(self, x, name):
        mean, var, scale, shift = (
            self.weights[f"{name}.{key}"].reshape(1, -1, 1, 1)
            for key in ("running_mean", "running_var", "weight", "bias")
        )
        return (x - mean) / (var + 1e-5).sqrt() * scale + shift


def squeeze_and_excitation(layers, x, block):
    pooled = x.mean((2, 3), keepdim=True)
    return layers.conv(layers.conv(pooled, f"{block}.se.fc1").relu(), f"{block}.se.fc2").sigmoid()


def pooled(layers, x, block):
    return x.mean((2, 3), keepdim=True).sigmoid()


def gathered(layers, x, block):
    name = f"{block}.ge.gather"
    return layers.norm(layers.conv(x, f"{name}.conv1", group=x.shape[1]), f"{name}.bn1").sigmoid()


def gathered_and_excited(layers, x, block):
    name = f"{block}.ge_plus"
    down = layers.norm(layers.conv(x, f"{name}.gather.conv1", group=x.shape[1]), f"{name}.gather.bn1").relu()
    return layers.conv(layers.conv(down, f"{name}.fc1").relu(), f"{name}.fc2").sigmoid()


GATES = {
    "papers/se/resnet50": squeeze_and_excitation,
    "papers/ge/resnet50_ge_minus_global_table_6_1": pooled,
    "papers/ge/resnet50_ge_global_table_6_2": gathered,
    "papers/ge/resnet50_ge_plus_global": gathered_and_excited,
}


def residual(layers, x, block, stride, gate):
    """1x1_reduce, which has the stride, 3x3, 1x1_increase, the gate, and Axpy: gate times branch plus shortcut."""
    branch = layers.norm(layers.conv(x, f"{block}.conv1", stride), f"{block}.bn1").relu()
    branch = layers.norm(layers.conv(branch, f"{block}.conv2", pad=1), f"{block}.bn2").relu()
    branch = layers.norm(layers.conv(branch, f"{block}.conv3"), f"{block}.bn3")
    if f"{block}.downsample.0.weight" in layers.weights:
        x = layers.norm(layers.conv(x, f"{block}.downsample.0", stride), f"{block}.downsample.1")
    return (gate(layers, branch, block) * branch + x).relu()


def network(layers, x, gate):
    x = layers.norm(layers.conv(x, "conv1", 2, 3), "bn1").relu()
    x = F.max_pool2d(x, 3, 2, 1)
    for stage, depth in enumerate(DEPTHS):
        for unit in range(depth):
            x = residual(layers, x, f"layer{stage + 1}.{unit}", 2 if stage > 0 and unit == 0 else 1, gate)
    return F.linear(x.mean((2, 3)), layers.weights["fc.weight"], layers.weights["fc.bias"])


@pytest.mark.parametrize("name", GATES)
def test_the_authors_files(name):
    small = {"backbone": name, "input": [3, SIZE, SIZE], "vars": {"widths": [8, 8, 16, 16], "num_classes": 10}}
    images = torch.randn(2, 3, SIZE, SIZE, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    found = []
    for vars in ({}, {"stride_in_1x1": False}):
        model = randomised(composer.build(small, vars=vars).double()).eval()
        with torch.no_grad():
            found.append(model(images))
            wanted = network(Layers(model.state_dict()), images, GATES[name])
    ours, strided_elsewhere = found
    scale = wanted.abs().max()
    assert (ours - wanted).abs().max() <= 1e-13 * scale
    assert (strided_elsewhere - wanted).abs().max() > 1e-3 * scale
