"""The example of YOLOv12's backbone beside plain modules under the authors' names."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

import composer
from tests.importing.reference import A2C2f, Bottleneck, Conv, Gathered

EXAMPLE = Path(__file__).parents[1] / "examples" / "yolov12_backbone.yaml"


def convolution(*sizes: int, groups: int = 1) -> nn.Module:
    """Within attention the example's norms have PyTorch's eps."""
    made = Conv(*sizes, g=groups, act=False)
    made.bn.eps, made.bn.momentum = 1e-5, 0.1
    return made


class Areas(nn.Module):
    """The authors' AAttn, one area and one head after the other: q and k of all heads lie one behind the other."""

    def __init__(self, width: int, areas: int):
        super().__init__()
        self.qk, self.v, self.proj = convolution(width, 2 * width), convolution(width, width), convolution(width, width)
        self.pe, self.areas = convolution(width, width, 5, groups=width), areas

    def forward(self, x: Tensor) -> Tensor:
        q, k = self.qk(x).flatten(2).chunk(2, 1)
        v = self.v(x)
        mixed = []
        for head in range(x.shape[1] // 32):
            own = slice(32 * head, 32 * head + 32)
            runs = zip(*(one[:, own].chunk(self.areas, 2) for one in (q, k, v.flatten(2))), strict=True)
            parts = [c @ (a.transpose(1, 2) @ b * 32**-0.5).softmax(2).transpose(1, 2) for a, b, c in runs]
            mixed.append(torch.cat(parts, 2))
        return self.proj(torch.cat(mixed, 1).view_as(v) + self.pe(v))


class Block(nn.Module):
    def __init__(self, width: int, areas: int):
        super().__init__()
        self.attn = Areas(width, areas)
        self.mlp = nn.Sequential(Conv(width, 2 * width), Conv(2 * width, width, act=False))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(x)
        return x + self.mlp(x)


def areas(out: int, number: int) -> nn.Module:
    width = out // 2
    return A2C2f(out, out, [nn.Sequential(Block(width, number), Block(width, number)) for _ in range(2)])


class Plain(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(
            *(Conv(3, 16, 3, 2), Conv(16, 32, 3, 2, g=2), Gathered(32, 64, [Bottleneck(16, 16)], e=0.25)),
            *(Conv(64, 64, 3, 2, g=4), Gathered(64, 128, [Bottleneck(32, 32)], e=0.25)),
            *(Conv(128, 128, 3, 2), areas(128, 4), Conv(128, 256, 3, 2), areas(256, 1)),
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        maps = [x]
        for module in self:
            maps.append(module(maps[-1]))
        return [maps[5], maps[7], maps[9]]


def test_it_computes_what_the_authors_do() -> None:
    torch.manual_seed(0)
    peer, ours = Plain().double(), composer.build(EXAMPLE).double()
    ours.load_state_dict(peer.state_dict())
    images = torch.randn(2, 3, 128, 128, dtype=torch.float64)
    for training in (True, False):
        found, wanted = ours.train(training)(images), peer.train(training)(images)
        for mine, its in zip(found.values(), wanted, strict=True):
            torch.testing.assert_close(mine, its, rtol=0, atol=1e-10)
    levels = [tensor.shape[1:] for tensor in ours.graph.outputs.values()]
    assert levels == [(128, 16, 16), (128, 8, 8), (256, 4, 4)]
