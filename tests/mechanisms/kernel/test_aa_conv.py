"""Attention augmented convolution beside the paper's appendix, with logits of relative positions one pair at a time."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import composer
from composer.mechanisms.kernel.aa_conv import AttentionAugmentedConv
from tests.mechanisms.oracle import SMALL, agree


class Paper(nn.Module):
    def __init__(self, c: int, o: int, size: tuple[int, int], heads: int, p: int, v: int, stride: int) -> None:
        super().__init__()
        self.heads, self.p, self.v, self.size, self.stride = heads, p, v, size, stride
        self.conv = nn.Conv2d(c, o - v, 3, stride, padding=1, bias=False)
        self.qkv, self.proj = nn.Conv2d(c, 2 * heads * p + v, 1), nn.Conv2d(v, v, 1)
        self.row = nn.Parameter(torch.zeros(2 * size[0] - 1, p))
        self.column = nn.Parameter(torch.zeros(2 * size[1] - 1, p))

    def forward(self, x: Tensor) -> Tensor:
        height, width = self.size
        n, wide = height * width, self.heads * self.p
        q, k, v = torch.split(self.qkv(x), [wide, wide, self.v], dim=1)
        i, j = torch.arange(n) // width, torch.arange(n) % width
        # From each position (first axis) to each other.
        relative = self.row[i[None] - i[:, None] + height - 1] + self.column[j[None] - j[:, None] + width - 1]
        mixed = []
        for head in range(self.heads):
            part = slice(head * self.p, (head + 1) * self.p)
            own = slice(head * self.v // self.heads, (head + 1) * self.v // self.heads)
            query, key = (one[:, part].flatten(2).transpose(1, 2) for one in (q * self.p**-0.5, k))
            logits = query @ key.transpose(1, 2) + torch.einsum("bnp,nmp->bnm", query, relative)
            mixed.append((torch.softmax(logits, dim=-1) @ v[:, own].flatten(2).transpose(1, 2)).transpose(1, 2))
        y = self.proj(torch.cat(mixed, dim=1).view(len(x), self.v, height, width))
        y = F.avg_pool2d(y, self.stride, ceil_mode=True) if self.stride > 1 else y
        return torch.cat((self.conv(x), y), dim=1)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [*SMALL, (1, 1)], ids=str)
def test_it_is_the_papers(size: tuple[int, int], stride: int) -> None:
    x = torch.randn(2, 6, *size, generator=torch.Generator().manual_seed(0))
    ours = AttentionAugmentedConv(6, 10, *size, 3, stride, num_heads=2, keys=0.7, values=0.4, min_head_dim=2)
    agree(ours, Paper(6, 10, size, 2, 3, 4, stride), x)
    narrow = AttentionAugmentedConv(6, 12, *size, 3, stride, num_heads=2, keys=0.2, values=0.7, min_head_dim=1)
    agree(narrow, Paper(6, 12, size, 2, 1, 8, stride), x)


def test_refusals() -> None:
    with pytest.raises(
        ValueError, match="8 heads give 8 of 8 outputs, and leave none to the convolution; set num_heads"
    ):
        AttentionAugmentedConv(8, 8, 4, 4)
    with pytest.raises(ValueError, match="aa_conv: built for maps of 4×4, found 4×5; build it for that size"):
        AttentionAugmentedConv(16, 16, 4, 4)(torch.randn(1, 16, 4, 5))


def test_in_the_papers_resnet50() -> None:
    """25.8 M parameters: every 3×3 of the last three stages."""
    rule = {"use": "aa_conv", "replace": "spatial_conv", "where": "stage >= 2"}
    found = composer.graph({"backbone": "resnet50", "attention": [rule]}).num_parameters
    assert found / 1e6 == pytest.approx(25.8, abs=0.05)
    model = composer.build(
        {"backbone": "resnet50", "input": [3, 64, 64], "attention": [{**rule, "where": "stage == 4"}]}
    )
    assert model.eval()(torch.randn(1, 3, 64, 64)).isfinite().all()
