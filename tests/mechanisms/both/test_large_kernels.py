"""lka, lska, msca and lsk beside their authors' modules, written again in plain steps."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import composer
from composer.mechanisms.both.lka import LargeKernelAttention
from composer.mechanisms.both.lsk import LargeSelectiveKernel
from composer.mechanisms.both.lska import LargeSeparableKernelAttention
from composer.mechanisms.both.msca import MultiScaleConvolutionalAttention
from tests.mechanisms.oracle import SIZES, agree

C = 6
# kernel_size -> kernel and padding of the first, kernel, padding and dilation of the second, from the authors' code.
AUTHORS = {
    7: (3, 1, 3, 2, 2),
    11: (3, 1, 5, 4, 2),
    23: (5, 2, 7, 9, 3),
    35: (5, 2, 11, 15, 3),
    41: (5, 2, 13, 18, 3),
    53: (5, 2, 17, 24, 3),
}


class VAN(nn.Module):
    """AttentionModule of VAN."""

    def __init__(self, size: int = 23) -> None:
        super().__init__()
        k, p, far, around, dilation = AUTHORS[size]
        self.conv0 = nn.Conv2d(C, C, k, padding=p, groups=C)
        self.conv_spatial = nn.Conv2d(C, C, far, padding=around, dilation=dilation, groups=C)
        self.conv1 = nn.Conv2d(C, C, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.conv1(self.conv_spatial(self.conv0(x)))


class Separable(nn.Module):
    """LSKA of its authors."""

    def __init__(self, size: int = 23) -> None:
        super().__init__()
        k, p, far, around, dilation = AUTHORS[size]
        self.conv0h = nn.Conv2d(C, C, (1, k), padding=(0, p), groups=C)
        self.conv0v = nn.Conv2d(C, C, (k, 1), padding=(p, 0), groups=C)
        self.conv_spatial_h = nn.Conv2d(C, C, (1, far), padding=(0, around), groups=C, dilation=dilation)
        self.conv_spatial_v = nn.Conv2d(C, C, (far, 1), padding=(around, 0), groups=C, dilation=dilation)
        self.conv1 = nn.Conv2d(C, C, 1)

    def forward(self, x: Tensor) -> Tensor:
        gate = x
        for conv in (self.conv0h, self.conv0v, self.conv_spatial_h, self.conv_spatial_v, self.conv1):
            gate = conv(gate)
        return x * gate


class SegNeXt(nn.Module):
    """AttentionModule of SegNeXt."""

    def __init__(self) -> None:
        super().__init__()
        self.conv0 = nn.Conv2d(C, C, 5, padding=2, groups=C)
        for number, k in enumerate((7, 11, 21)):
            self.add_module(f"conv{number}_1", nn.Conv2d(C, C, (1, k), padding=(0, k // 2), groups=C))
            self.add_module(f"conv{number}_2", nn.Conv2d(C, C, (k, 1), padding=(k // 2, 0), groups=C))
        self.conv3 = nn.Conv2d(C, C, 1)

    def forward(self, x: Tensor) -> Tensor:
        first = self.conv0(x)
        strips = [getattr(self, f"conv{n}_2")(getattr(self, f"conv{n}_1")(first)) for n in range(3)]
        return self.conv3(first + strips[0] + strips[1] + strips[2]) * x


class LSKNet(nn.Module):
    """LSKblock of LSKNet."""

    def __init__(self) -> None:
        super().__init__()
        self.conv0 = nn.Conv2d(C, C, 5, padding=2, groups=C)
        self.conv_spatial = nn.Conv2d(C, C, 7, padding=9, groups=C, dilation=3)
        self.conv1, self.conv2 = nn.Conv2d(C, C // 2, 1), nn.Conv2d(C, C // 2, 1)
        self.conv_squeeze = nn.Conv2d(2, 2, 7, padding=3)
        self.conv = nn.Conv2d(C // 2, C, 1)

    def forward(self, x: Tensor) -> Tensor:
        one = self.conv0(x)
        one, two = self.conv1(one), self.conv2(self.conv_spatial(one))
        both = torch.cat([one, two], dim=1)
        most, _ = torch.max(both, dim=1, keepdim=True)
        select = torch.sigmoid(self.conv_squeeze(torch.cat([torch.mean(both, dim=1, keepdim=True), most], dim=1)))
        return x * self.conv(one * select[:, 0].unsqueeze(1) + two * select[:, 1].unsqueeze(1))


class Block(nn.Module):
    """The attention around each of them: two projections and a shortcut."""

    def __init__(self, gate: nn.Module) -> None:
        super().__init__()
        self.proj_1, self.spatial_gating_unit, self.proj_2 = nn.Conv2d(C, C, 1), gate, nn.Conv2d(C, C, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.proj_2(self.spatial_gating_unit(F.gelu(self.proj_1(x)))) + x


PAIRS = [
    (LargeKernelAttention, VAN),
    (LargeSeparableKernelAttention, Separable),
    (MultiScaleConvolutionalAttention, SegNeXt),
    (LargeSelectiveKernel, LSKNet),
]


@pytest.mark.parametrize("size", [*SIZES, (1, 1)], ids=str)
@pytest.mark.parametrize(("ours", "theirs"), PAIRS)
def test_it_is_the_authors_module(ours: type[nn.Module], theirs: type[nn.Module], size: tuple[int, int]) -> None:
    x = torch.randn(2, C, *size, generator=torch.Generator().manual_seed(0))
    agree(ours(C), theirs(), x)
    agree(ours(C, proj=True), Block(theirs()), x)


@pytest.mark.parametrize("kernel_size", AUTHORS)
@pytest.mark.parametrize(("ours", "theirs"), PAIRS[:2])
def test_every_size_of_kernel(ours: type[nn.Module], theirs: type[nn.Module], kernel_size: int) -> None:
    agree(ours(C, kernel_size=kernel_size), theirs(kernel_size), torch.randn(1, C, 13, 17))


@pytest.mark.parametrize("kernel_size", AUTHORS)
@pytest.mark.parametrize("kind", [LargeKernelAttention, LargeSeparableKernelAttention])
def test_a_position_sees_as_far_as_its_kernel_size_says(kind: type[nn.Module], kernel_size: int) -> None:
    module = kind(1, kernel_size=kernel_size).double()
    for parameter in module.parameters():
        nn.init.ones_(parameter)
    x = torch.zeros(1, 1, 61, 61, dtype=torch.float64, requires_grad=True)
    module.attention(x)[0, 0, 30, 30].backward()
    rows = x.grad[0, 0].any(1).nonzero().flatten()
    assert (rows.min(), rows.max()) == (30 - kernel_size // 2, 30 + kernel_size // 2)
    assert x.grad[0, 0].count_nonzero() == kernel_size**2


@pytest.mark.parametrize(
    ("kind", "count"),
    [
        (LargeKernelAttention, 9_024),
        (LargeSeparableKernelAttention, 5_952),
        (MultiScaleConvolutionalAttention, 11_200),
    ],
)
def test_parameters(kind: type[nn.Module], count: int) -> None:
    assert sum(p.numel() for p in kind(64).parameters()) == count
    assert sum(p.numel() for p in kind(64, proj=True).parameters()) == count + 8_320


def test_another_size_is_refused() -> None:
    rule = {"use": "lska", "after": "branch", "with": {"kernel_size": 9}}
    with pytest.raises(composer.ComposerError, match="kernel_size"):
        composer.graph({"backbone": "resnet18", "attention": [rule]})


@pytest.mark.parametrize("name", ["lka", "lska", "msca", "lsk"])
def test_in_networks(name: str) -> None:
    x = torch.randn(1, 3, 32, 32)
    for proj in (False, True):
        rule = {"use": name, "after": "branch", "where": "stage == 2", "with": {"proj": proj}, "expect": 2}
        model = composer.build({"backbone": "resnet18", "input": [3, 32, 32], "attention": [rule]}).eval()
        gate = f"layer2.0.{name}" + ".spatial_gating_unit" * proj
        assert model.get_submodule(gate).attention(torch.randn(1, 128, 4, 4)).shape == (1, 128, 4, 4)
        assert model(x).isfinite().all()
    tokens = {"use": name, "before": "mixer", "where": "block == 1", "start": "identity", "expect": 1}
    composer.graph({"backbone": "vit_tiny_patch16_224", "attention": [tokens]})
