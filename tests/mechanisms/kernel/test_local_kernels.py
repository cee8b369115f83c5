"""involution, cot and epsa beside their authors' modules, written again in plain steps."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import composer
from composer.mechanisms.kernel.cot import ContextualTransformer
from composer.mechanisms.kernel.epsa import PyramidSplitAttention
from composer.mechanisms.kernel.involution import Involution
from tests.mechanisms.oracle import SIZES, agree


class Authors(nn.Module):
    """involution_naive.py: the windows are unfolded."""

    def __init__(self, channels: int, window: int, stride: int, group: int) -> None:
        super().__init__()
        self.window, self.stride, self.groups = window, stride, channels // group
        self.conv1 = nn.Sequential()
        self.conv1.add_module("conv", nn.Conv2d(channels, channels // 4, 1, bias=False))
        self.conv1.add_module("bn", nn.BatchNorm2d(channels // 4))
        self.conv1.add_module("relu", nn.ReLU())
        self.conv2 = nn.Conv2d(channels // 4, window**2 * self.groups, 1)

    def forward(self, x: Tensor) -> Tensor:
        weight = self.conv2(self.conv1(x if self.stride == 1 else F.avg_pool2d(x, self.stride)))
        b, _, h, w = weight.shape
        weight = weight.view(b, self.groups, 1, self.window**2, h, w)
        seen = F.unfold(x, self.window, padding=self.window // 2, stride=self.stride)
        return (weight * seen.view(b, self.groups, -1, self.window**2, h, w)).sum(3).view(b, -1, h, w)


class CotLayer(nn.Module):
    """CotLayer of CoTNet, with the local convolution of aggregation_zeropad.py in its test's form."""

    def __init__(self, c: int, k: int, stride: int = 1) -> None:
        super().__init__()
        self.c, self.k, self.stride = c, k, stride
        self.key_embed = nn.Sequential(
            nn.Conv2d(c, c, k, padding=k // 2, groups=4, bias=False), nn.BatchNorm2d(c), nn.ReLU()
        )
        self.embed = nn.Sequential(
            nn.Conv2d(2 * c, c // 2, 1, bias=False),
            nn.BatchNorm2d(c // 2),
            nn.ReLU(),
            nn.Conv2d(c // 2, k * k * c // 8, 1),
            nn.GroupNorm(c // 8, k * k * c // 8),
        )
        self.conv1x1 = nn.Sequential(nn.Conv2d(c, c, 1, bias=False), nn.BatchNorm2d(c))
        self.bn = nn.BatchNorm2d(c)
        hidden = max(c * 2 // 4, 32)
        self.se = nn.Sequential(nn.Conv2d(c, hidden, 1), nn.BatchNorm2d(hidden), nn.ReLU(), nn.Conv2d(hidden, 2 * c, 1))

    def forward(self, x: Tensor) -> Tensor:
        if self.stride > 1:
            x = F.avg_pool2d(x, 3, self.stride, padding=1)
        k = self.key_embed(x)
        b, c, h, w = k.shape
        weight = self.embed(torch.cat([x, k], dim=1)).view(b, 1, c // 8, self.k**2, h, w)
        seen = F.unfold(self.conv1x1(x), self.k, padding=self.k // 2).view(b, 8, c // 8, self.k**2, h, w)
        x = F.silu(self.bn((weight * seen).sum(3).view(b, c, h, w)))
        both = torch.stack([x, k], dim=2)
        share = torch.softmax(self.se(both.sum(2).mean((2, 3), keepdim=True)).view(b, c, 2), dim=2)
        return (both * share[..., None, None]).sum(2)


class PSAModule(nn.Module):
    """PSAModule of EPSANet."""

    def __init__(self, c: int, o: int, stride: int, groups: tuple[int, ...]) -> None:
        super().__init__()
        self.convs = nn.ModuleList(
            [
                nn.Conv2d(c, o // 4, k, stride, k // 2, groups=g, bias=False)
                for k, g in zip((3, 5, 7, 9), groups, strict=True)
            ]
        )
        self.fc1, self.fc2 = nn.Conv2d(o // 4, 2, 1), nn.Conv2d(2, o // 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        maps = [conv(x) for conv in self.convs]
        gates = [torch.sigmoid(self.fc2(F.relu(self.fc1(F.adaptive_avg_pool2d(one, 1))))) for one in maps]
        shares = torch.softmax(torch.stack(gates), dim=0)
        out = maps[0] * shares[0]
        for one, share in zip(maps[1:], shares[1:], strict=True):
            out = torch.cat((one * share, out), 1)
        return out


def image(c: int, size: tuple[int, int]) -> Tensor:
    return torch.randn(2, c, *size, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("size", [*SIZES, (1, 1)], ids=str)
def test_they_are_the_authors(size: tuple[int, int]) -> None:
    agree(Involution(8, 8, window=5, group_channels=4), Authors(8, 5, 1, 4), image(8, size))
    agree(
        PyramidSplitAttention(8, 16, groups=(1, 2, 4, 4), reduction=2),
        PSAModule(8, 16, 1, (1, 2, 4, 4)),
        image(8, size),
    )
    agree(
        PyramidSplitAttention(8, 16, 2, groups=(1, 2, 4, 4), reduction=2),
        PSAModule(8, 16, 2, (1, 2, 4, 4)),
        image(8, size),
    )
    if size != (1, 1):
        # A batch norm of two numbers gives -1 and 1, whatever they are, and gradients of rounding alone.
        agree(ContextualTransformer(16, 16), CotLayer(16, 3), image(16, size))
        agree(ContextualTransformer(16, 16, 5, 2), CotLayer(16, 5, 2), image(16, size))


def test_at_a_stride_on_an_even_map() -> None:
    agree(Involution(8, 8, 2, window=3, group_channels=4), Authors(8, 3, 2, 4), image(8, (14, 10)))
    assert Involution(16, 32, 2)(image(16, (7, 9))).shape == (2, 32, 4, 5)


def test_parameters_of_the_authors_networks() -> None:
    for backbone, rule, count in (
        # EPSANet-50 (small), 22.56 M.
        ("resnet50", {"use": "epsa", "replace": "spatial_conv", "expect": 16}, 22.56),
        # CoTNet-50, 22.2 M.
        ("resnet50", {"use": "cot", "replace": "spatial_conv", "expect": 16}, 22.2),
    ):
        found = composer.graph({"backbone": backbone, "attention": [rule]}).num_parameters / 1e6
        assert found == pytest.approx(count, abs=0.05 if count == 22.2 else 0.005), rule


def test_refusals() -> None:
    for said, make in (
        ("24 channels do not divide into groups of 16; set group_channels to 12 or 24", lambda: Involution(8, 24)),
        ("8 channels share a kernel, and 12 output channels do not divide by 8", lambda: ContextualTransformer(8, 12)),
        ("6 input channels do not divide into 4 groups", lambda: ContextualTransformer(6, 8)),
        ("the convolution's kernel is 2x2; replace one that is odd", lambda: ContextualTransformer(8, 8, 2)),
        ("6 output channels do not divide by 4", lambda: PyramidSplitAttention(8, 6)),
    ):
        with pytest.raises(ValueError, match=said):
            make()


@pytest.mark.parametrize("name", ["involution", "cot", "epsa"])
def test_in_networks(name: str) -> None:
    rule = {"use": name, "replace": "spatial_conv", "where": "stage >= 3"}
    model = composer.build({"backbone": "resnet18", "input": [3, 64, 64], "attention": [rule]}).eval()
    x = torch.randn(2, 3, 64, 64)
    assert model(x).isfinite().all()
    assert model(x.to(memory_format=torch.channels_last)).isfinite().all()
