"""Axial attention beside its authors' layer, written again column by column."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import composer
from composer.mechanisms.kernel.axial import AxialAttention
from tests.mechanisms.oracle import SIZES, agree


class Layer(nn.Module):
    """AxialAttention of axialnet.py, on b c n."""

    def __init__(self, c: int, o: int, length: int, groups: int) -> None:
        super().__init__()
        self.groups, self.p, self.o, self.length = groups, o // groups, o, length
        self.qkv = nn.Conv1d(c, 2 * o, 1, bias=False)
        self.bn_qkv, self.bn_output = nn.BatchNorm1d(2 * o), nn.BatchNorm1d(2 * o)
        self.bn_similarity = nn.BatchNorm2d(3 * groups)
        self.relative = nn.Parameter(torch.zeros(2 * self.p, 2 * length - 1))

    def forward(self, x: Tensor) -> Tensor:
        n, half = len(x), self.p // 2
        qkv = self.bn_qkv(self.qkv(x)).reshape(n, self.groups, 2 * self.p, self.length)
        q, k, v = torch.split(qkv, [half, half, self.p], dim=2)
        index = torch.arange(self.length)
        table = self.relative[:, index[:, None] - index[None] + self.length - 1]
        rq, rk, rv = torch.split(table, [half, half, self.p], dim=0)
        qr = torch.einsum("bgci,cij->bgij", q, rq)
        kr = torch.einsum("bgci,cij->bgij", k, rk).transpose(2, 3)
        logits = self.bn_similarity(torch.cat([torch.einsum("bgci,bgcj->bgij", q, k), qr, kr], dim=1))
        weights = torch.softmax(logits.view(n, 3, self.groups, self.length, self.length).sum(1), dim=3)
        out = [torch.einsum("bgij,bgcj->bgci", weights, v), torch.einsum("bgij,cij->bgci", weights, rv)]
        stacked = torch.cat(out, dim=-1).view(n, 2 * self.o, self.length)
        return self.bn_output(stacked).view(n, self.o, 2, self.length).sum(2)


class Authors(nn.Module):
    """The middle of AxialBlock."""

    def __init__(self, c: int, o: int, size: tuple[int, int], groups: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.height_block, self.width_block = Layer(c, o, size[0], groups), Layer(o, o, size[1], groups)

    def forward(self, x: Tensor) -> Tensor:
        b, _, h, w = x.shape
        x = self.height_block(x.permute(0, 3, 1, 2).reshape(b * w, -1, h)).view(b, w, -1, h).permute(0, 2, 3, 1)
        x = self.width_block(x.permute(0, 2, 1, 3).reshape(b * h, -1, w)).view(b, h, -1, w).permute(0, 2, 1, 3)
        return F.relu(F.avg_pool2d(x, self.stride, ceil_mode=True) if self.stride > 1 else x)


def carry(state: dict[str, Tensor]) -> dict[str, Tensor]:
    theirs = {name: tensor[..., 0] if name.endswith(".qkv.weight") else tensor for name, tensor in state.items()}
    # Their bias has a gradient of zero: it cancels.
    weights = {name: tensor for name, tensor in state.items() if name.endswith("similarity.weight")}
    return theirs | {name.replace("weight", "bias"): torch.zeros_like(one) for name, one in weights.items()}


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_it_is_the_authors(size: tuple[int, int], stride: int) -> None:
    x = torch.randn(2, 6, *size, generator=torch.Generator().manual_seed(0))
    ours = AxialAttention(6, 8, *size, stride, num_heads=2)
    agree(ours, Authors(6, 8, size, 2, stride), x, carry=carry)


def test_refusals() -> None:
    with pytest.raises(ValueError, match="8 heads of 3 channels have no halves for queries and keys; set num_heads"):
        AxialAttention(8, 24, 7, 7)
    with pytest.raises(ValueError, match="axial: built for maps of 7×7, found 7×8; build it for that size"):
        AxialAttention(16, 16, 7, 7)(torch.randn(1, 16, 7, 8))
    assert AxialAttention(16, 16, 1, 1)(torch.randn(2, 16, 1, 1)).isfinite().all()


def test_in_a_network() -> None:
    rule = {"use": "axial", "replace": "spatial_conv", "where": "stage == 4", "expect": 3}
    model = composer.build({"backbone": "resnet50", "input": [3, 64, 64], "attention": [rule]}).eval()
    assert isinstance(model.layer4[0].conv2, AxialAttention)
    assert "layer4.0.bn2.weight" not in model.state_dict()
    assert model(torch.randn(1, 3, 64, 64)).isfinite().all()
