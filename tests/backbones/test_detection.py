"""Backbones and necks of detectors, beside plain modules that follow their authors' descriptions."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from backbones.peers import assert_close, randomised
from torch import Tensor, nn

import composer
from composer.spec import zoo


class Conv(nn.Module):
    def __init__(self, c1: int, c2: int, k: int = 1, s: int = 1):
        super().__init__()
        self.conv = nn.Conv2d(c1, c2, k, s, k // 2, bias=False)
        self.bn = nn.BatchNorm2d(c2, eps=1e-3, momentum=0.03)

    def forward(self, x: Tensor) -> Tensor:
        return F.silu(self.bn(self.conv(x)))


class Bottleneck(nn.Module):
    def __init__(self, c: int, shortcut: bool):
        super().__init__()
        self.cv1, self.cv2, self.shortcut = Conv(c, c, 3), Conv(c, c, 3), shortcut

    def forward(self, x: Tensor) -> Tensor:
        y = self.cv2(self.cv1(x))
        return x + y if self.shortcut else y


class C2f(nn.Module):
    def __init__(self, c1: int, c2: int, n: int = 1, shortcut: bool = False):
        super().__init__()
        c = c2 // 2
        self.cv1, self.cv2 = Conv(c1, 2 * c), Conv((2 + n) * c, c2)
        self.m = nn.ModuleList(Bottleneck(c, shortcut) for _ in range(n))

    def forward(self, x: Tensor) -> Tensor:
        y = list(self.cv1(x).chunk(2, 1))
        for m in self.m:
            y.append(m(y[-1]))
        return self.cv2(torch.cat(y, 1))


class SPPF(nn.Module):
    def __init__(self, c1: int, c2: int):
        super().__init__()
        self.cv1, self.cv2 = Conv(c1, c1 // 2), Conv(c1 * 2, c2)

    def forward(self, x: Tensor) -> Tensor:
        y = [self.cv1(x)]
        for _ in range(3):
            y.append(F.max_pool2d(y[-1], 5, 1, 2))
        return self.cv2(torch.cat(y, 1))


class Concat(nn.Module):
    def __init__(self, other: int):
        super().__init__()
        self.other = other


class YOLOv8n(nn.Module):
    """The lines of ultralytics' yolov8.yaml before `Detect`, at the scale n."""

    def __init__(self) -> None:
        super().__init__()
        self.model = nn.Sequential(
            *(Conv(3, 16, 3, 2), Conv(16, 32, 3, 2), C2f(32, 32, 1, True), Conv(32, 64, 3, 2)),
            *(C2f(64, 64, 2, True), Conv(64, 128, 3, 2), C2f(128, 128, 2, True), Conv(128, 256, 3, 2)),
            *(C2f(256, 256, 1, True), SPPF(256, 256)),
            *(nn.Upsample(None, 2, "nearest"), Concat(6), C2f(384, 128)),
            *(nn.Upsample(None, 2, "nearest"), Concat(4), C2f(192, 64)),
            *(Conv(64, 64, 3, 2), Concat(12), C2f(192, 128), Conv(128, 128, 3, 2), Concat(9), C2f(384, 256)),
        )

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        seen: list[Tensor] = []
        for layer in self.model:
            x = torch.cat([x, seen[layer.other]], 1) if isinstance(layer, Concat) else layer(x)
            seen.append(x)
        return {"p3": seen[15], "p4": seen[18], "p5": seen[21]}


SLOW = {"detection/yolov8s", "detection/yolov8m"}
NAMES = [pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in zoo.others("detection")]


@pytest.mark.parametrize("name", NAMES)
def test_each_composes_and_trains_a_step(name):
    model = composer.build({"backbone": name, "input": [3, 64, 64]})
    outputs = model(torch.randn(2, 3, 64, 64))
    sum(value.square().mean() for value in outputs.values()).backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_yolov8n_is_that_of_its_description():
    theirs, ours = randomised(YOLOv8n()), composer.build({"backbone": "detection/yolov8n", "input": [3, 64, 96]})
    assert {key: value.shape for key, value in ours.state_dict().items()} == {
        key: value.shape for key, value in theirs.state_dict().items()
    }
    ours.load_state_dict(theirs.state_dict())
    images = torch.randn(2, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    for training in (False, True):
        found, wanted = ours.train(training)(images), theirs.train(training)(images)
        for name, value in wanted.items():
            assert_close(found[name], value, name, exact=True)
    for outputs in (found, wanted):
        sum(value.square().mean() for value in outputs.values()).backward()
    gradients = dict(ours.named_parameters())
    for name, parameter in theirs.named_parameters():
        assert_close(gradients[name].grad, parameter.grad, name, exact=False)


def test_yolov8_has_the_published_parameters():
    """As ultralytics prints them, a line per layer, and without its head of 897,664."""
    layers = composer.graph("detection/yolov8n").root.nodes["model"].content.nodes
    found = [node.content.num_parameters for node in layers.values() if node.content.num_parameters]
    backbone = [464, 4672, 7360, 18560, 49664, 73984, 197632, 295424, 460288, 164608]
    assert found == [*backbone, 148224, 37248, 36992, 123648, 147712, 493056]
    assert composer.graph("detection/yolov8n").num_parameters == 3_157_200 - 897_664


def test_attention_goes_into_the_neck_and_the_backbone():
    rules = [
        {"use": "eca", "after": "pyramid", "expect": 3},
        {"use": "cbam", "after": "stage", "expect": 4},
        {"use": "se", "after": "model.21.m.*.cv2", "expect": 1},
    ]
    graph = composer.graph({"backbone": "detection/yolov8n", "attention": rules})
    assert {rule: len(found) for rule, found in graph.mechanisms.items()} == {0: 3, 1: 4, 2: 1}
