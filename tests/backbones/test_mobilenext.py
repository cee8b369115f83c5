"""MobileNeXt beside the authors' network, written again in plain steps; no library that is installed has it."""

from __future__ import annotations

import math

import pytest
import torch
from backbones.peers import check_num_classes, check_outputs, randomised
from torch import Tensor, nn

import composer
from composer.arithmetic import make_divisible

# Parameters, millions of multiply-accumulates and convolutions of 3 × 3 in the blocks. The authors print 6.1, 3.5, 2.5,
# 2.1 and 1.8 M; the last three have more in their code, too.
SIZES = {
    "mobilenext_035": (1_913_976, 75),
    "mobilenext_050": (2_152_304, 103),
    "mobilenext_075": (2_766_168, 208),
    "mobilenext_100": (3_535_416, 311),
    "mobilenext_140": (6_126_168, 588),
}
# Reduction, channels, blocks and stride of each stage.
STAGES = [(2, 96, 1, 2), (6, 144, 1, 1), (6, 192, 3, 2), (6, 288, 3, 2), (6, 384, 4, 1), (6, 576, 4, 2), (6, 960, 3, 1)]


class Sandglass(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int, reduction: int, alone: bool):
        super().__init__()
        few = inputs // reduction
        if few < outputs / 6:
            few = make_divisible(math.ceil(outputs / 6), 16)
        both = reduction == 2 or alone or inputs == outputs
        wide = [nn.Conv2d(inputs, inputs, 3, 1, 1, groups=inputs, bias=False), nn.BatchNorm2d(inputs), nn.ReLU6()]
        narrow = [nn.Conv2d(inputs, few, 1, bias=False), nn.BatchNorm2d(few)]
        again = [nn.Conv2d(few, outputs, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU6()]
        last = [nn.Conv2d(outputs, outputs, 3, stride, 1, groups=outputs, bias=False), nn.BatchNorm2d(outputs)]
        self.adds = inputs == outputs and not alone and reduction > 2
        self.conv = nn.Sequential(*wide * both, *narrow, *again, *last * (both or stride == 2))

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x) + x if self.adds else self.conv(x)


class Plain(nn.Module):
    def __init__(self, width: float):
        super().__init__()
        inputs = make_divisible(32 * width)
        layers = [nn.Conv2d(3, inputs, 3, 2, 1, bias=False), nn.BatchNorm2d(inputs), nn.ReLU6()]
        for reduction, channels, depth, stride in [*STAGES, (6, 1280, 1, 1)]:
            outputs = 1280 if channels == 1280 and width < 1 else make_divisible(channels * width)
            for index in range(depth):
                alone = depth == 1 and stride == 1
                layers.append(Sandglass(inputs, outputs, stride if index == 0 else 1, reduction, alone))
                inputs = outputs
        self.features, self.classifier = nn.Sequential(*layers), nn.Linear(inputs, 1000)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x).mean((2, 3)))


@pytest.mark.parametrize("name", ["mobilenext_050", "mobilenext_100"])
def test_the_authors_network(name):
    peer, ours = randomised(Plain(composer.load(name).vars["width"])), composer.build(name)
    theirs, found = peer.state_dict(), ours.state_dict()
    # Both have their layers in the order in which they are computed.
    assert [value.shape for value in theirs.values()] == [value.shape for value in found.values()]
    ours.load_state_dict(dict(zip(found, theirs.values(), strict=True)))
    images = torch.randn(2, 3, 64, 96, generator=torch.Generator().manual_seed(2))
    for training in (False, True):
        check_outputs(ours.train(training), peer.train(training), images)


@pytest.mark.parametrize("name", SIZES)
def test_counts_and_sites(name):
    parameters, million = SIZES[name]
    graph = composer.graph(name)
    assert graph.num_parameters == parameters
    assert round(graph.num_macs / 1e6) == million
    found = graph.places.sites
    assert (found["stem"], found["stage"], found["block"], found["head"]) == (1, 8, 20, 1)
    # Fifteen blocks have both depthwise convolutions, three the second one alone, and two none.
    assert (found["branch"], found["spatial_conv"]) == (20, 2 * 15 + 3)
    assert [level.reduction for level in graph.levels] == [2, 4, 8, 16, 32]
    check_num_classes(name, graph)


def test_it_starts_as_the_authors_code_does():
    torch.manual_seed(0)
    state = composer.build("mobilenext_100").state_dict()
    assert state["classifier.weight"].std() == pytest.approx(0.01, rel=0.02)
    assert (state["classifier.bias"] == 0).all()
    # N(0, 2 / (k² outputs)), of depthwise convolutions too.
    assert state["blocks.7.0.conv_dw2.weight"].std() == pytest.approx(math.sqrt(2 / 9 / 1280), rel=0.03)
    assert state["blocks.7.0.conv_pw2.weight"].std() == pytest.approx(math.sqrt(2 / 1280), rel=0.02)
