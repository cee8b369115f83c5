"""DANet: its head as the authors' code computes it, written again in plain steps, on torchvision's dilated ResNet."""

from __future__ import annotations

import torch
import torch.nn.functional as F
import torchvision
from backbones.peers import assert_close, randomised
from torch import Tensor, nn

import composer


class Positions(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.query_conv, self.key_conv = nn.Conv2d(width, width // 8, 1), nn.Conv2d(width, width // 8, 1)
        self.value_conv, self.gamma = nn.Conv2d(width, width, 1), nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (conv(x).flatten(2) for conv in (self.query_conv, self.key_conv, self.value_conv))
        weights = (q.transpose(1, 2) @ k).softmax(-1)
        return self.gamma * (v @ weights.transpose(1, 2)).view_as(x) + x


class Channels(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        rows = x.flatten(2)
        products = rows @ rows.transpose(1, 2)
        weights = (products.amax(-1, keepdim=True) - products).softmax(-1)
        return self.gamma * (weights @ rows).view_as(x) + x


class Head(nn.Module):
    def __init__(self, channels: int, classes: int):
        super().__init__()
        width = channels // 4

        def convolution(inputs: int) -> nn.Module:
            return nn.Sequential(nn.Conv2d(inputs, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU())

        self.conv5a, self.sa, self.conv51 = convolution(channels), Positions(width), convolution(width)
        self.conv5c, self.sc, self.conv52 = convolution(channels), Channels(), convolution(width)
        self.conv6, self.conv7, self.conv8 = (
            nn.Sequential(nn.Identity(), nn.Conv2d(width, classes, 1)) for _ in range(3)
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        positions, channels = self.conv51(self.sa(self.conv5a(x))), self.conv52(self.sc(self.conv5c(x)))
        return [self.conv8(positions + channels), self.conv6(positions), self.conv7(channels)]


class Plain(nn.Module):
    def __init__(self, classes: int):
        super().__init__()
        dilated = [False, True, True]
        body = torchvision.models.resnet50(replace_stride_with_dilation=dilated)
        for name in ("conv1", "bn1", "maxpool", "layer1", "layer2", "layer3", "layer4"):
            self.add_module(name, getattr(body, name))
        self.head = Head(2048, classes)

    def forward(self, images: Tensor) -> list[Tensor]:
        x = self.maxpool(self.bn1(self.conv1(images)).relu())
        found = self.head(self.layer4(self.layer3(self.layer2(self.layer1(x)))))
        return [F.interpolate(one, images.shape[2:], mode="bilinear", align_corners=True) for one in found]


def test_it_computes_what_the_authors_do() -> None:
    peer = randomised(Plain(7)).double()
    for module in (peer.head.sa, peer.head.sc):
        nn.init.constant_(module.gamma, 0.5)
    ours = composer.build("segmentation/danet_resnet50", vars={"num_classes": 7}, img_size=(64, 96)).double()
    ours.load_state_dict(peer.state_dict())
    images = torch.randn(2, 3, 64, 96, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    found, wanted = ours.train()(images), peer.train()(images)
    assert list(found) == ["both", "positions", "channels"]
    for mine, its in zip(found.values(), wanted, strict=True):
        assert_close(mine, its, "output in training", exact=False)
    assert_close(ours.eval()(images), peer.eval()(images)[0], "output", exact=False)


def test_maps_and_sites() -> None:
    graph = composer.graph("segmentation/danet_resnet50")
    assert graph.outputs["both"].shape[1:] == (19, 480, 480)
    assert graph.root.tensor("layer4").shape[2:] == (60, 60)
    assert graph.places.sites["mixer"] == 2
