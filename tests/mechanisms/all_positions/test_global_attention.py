"""pam, crisscross and a2, and cam of the same paper as pam, beside their authors' modules in plain steps."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import composer
from composer.mechanisms.all_positions.a2 import DoubleAttention
from composer.mechanisms.all_positions.crisscross import CrissCrossAttention
from composer.mechanisms.all_positions.pam import PositionAttention
from composer.mechanisms.channel.cam import ChannelAttentionOfDANet
from tests.mechanisms.oracle import SIZES, SMALL, agree

C, D = 10, 3


class QueryKeyValue(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.query_conv, self.key_conv = nn.Conv2d(C, D, 1), nn.Conv2d(C, D, 1)
        self.value_conv = nn.Conv2d(C, C, 1)
        self.gamma = nn.Parameter(torch.zeros(1))


class PAM(QueryKeyValue):
    """PAM_Module of DANet, with its whole matrix of positions."""

    def forward(self, x: Tensor) -> Tensor:
        b, c, h, w = x.shape
        q = self.query_conv(x).view(b, -1, h * w).permute(0, 2, 1)
        attention = torch.softmax(torch.bmm(q, self.key_conv(x).view(b, -1, h * w)), dim=-1)
        out = torch.bmm(self.value_conv(x).view(b, -1, h * w), attention.permute(0, 2, 1))
        return self.gamma * out.view(b, c, h, w) + x


class CAM(nn.Module):
    """CAM_Module of DANet."""

    def __init__(self) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        b, c, h, w = x.shape
        rows = x.view(b, c, -1)
        energy = torch.bmm(rows, rows.permute(0, 2, 1))
        largest = torch.max(energy, -1, keepdim=True)[0].expand_as(energy)
        out = torch.bmm(torch.softmax(largest - energy, dim=-1), rows)
        return self.gamma * out.view(b, c, h, w) + x


class CrissCross(QueryKeyValue):
    """CCNet's attention, from all positions at once: those neither in the row nor in the column are left out."""

    def __init__(self, times: int = 1) -> None:
        super().__init__()
        self.times = times

    def forward(self, x: Tensor) -> Tensor:
        b, c, h, w = x.shape
        row, column = torch.arange(h * w) // w, torch.arange(h * w) % w
        seen = (row[:, None] == row) | (column[:, None] == column)
        for _ in range(self.times):
            logits = torch.einsum("bdi,bdj->bij", self.query_conv(x).flatten(2), self.key_conv(x).flatten(2))
            weights = torch.softmax(logits.masked_fill(~seen, float("-inf")), dim=-1)
            x = x + self.gamma * torch.einsum("bij,bcj->bci", weights, self.value_conv(x).flatten(2)).view(b, c, h, w)
        return x


class A2(nn.Module):
    """The equations of A²-Nets, image by image."""

    def __init__(self) -> None:
        super().__init__()
        self.convA, self.convB, self.convV = nn.Conv2d(C, D, 1), nn.Conv2d(C, D, 1), nn.Conv2d(C, D, 1)
        self.proj = nn.Conv2d(D, C, 1)

    def forward(self, x: Tensor) -> Tensor:
        images = []
        for one in x:
            h, w = one.shape[1:]
            features, gather, distribute = (
                conv(one).reshape(D, h * w) for conv in (self.convA, self.convB, self.convV)
            )
            # One descriptor after another: a mean of features, weighted by a map that sums to 1.
            descriptors = [(features * F.softmax(weights, dim=0)).sum(1) for weights in gather]
            shares = F.softmax(distribute, dim=0)
            z = sum(g[:, None] * share[None, :] for g, share in zip(descriptors, shares, strict=True))
            images.append(one + self.proj(z.view(D, h, w)))
        return torch.stack(images)


def image(size: tuple[int, int], batch: int = 2) -> Tensor:
    return torch.randn(batch, C, *size, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("size", [*SMALL, (1, 1), (1, 6)], ids=str)
def test_they_are_the_authors(size: tuple[int, int]) -> None:
    x = image(size)
    agree(PositionAttention(C, reduction=3), PAM(), x)
    agree(CrissCrossAttention(C, *size, reduction=3), CrissCross(), x)
    agree(CrissCrossAttention(C, *size, reduction=3, recurrence=2), CrissCross(2), x)


@pytest.mark.parametrize("size", [*SIZES, (1, 1), (1, 6)], ids=str)
def test_those_without_pairs_of_positions_are_the_authors(size: tuple[int, int]) -> None:
    x = image(size)
    agree(ChannelAttentionOfDANet(), CAM(), x)
    agree(DoubleAttention(C, reduction=3), A2(), x)


@pytest.mark.slow
def test_on_a_large_map() -> None:
    x = image((56, 56), 1)
    agree(PositionAttention(C, reduction=3), PAM(), x, steps=1)
    agree(CrissCrossAttention(C, 56, 56, reduction=3), CrissCross(), x, steps=1)


@pytest.mark.parametrize("kind", ["pam", "cam", "crisscross"])
def test_it_starts_as_the_identity(kind: str) -> None:
    rule = {"use": kind, "after": "stage", "where": "last"}
    plain = composer.build({"backbone": "resnet18", "input": [3, 64, 64]}).eval()
    model = composer.build({"backbone": "resnet18", "input": [3, 64, 64], "attention": [rule]}).eval()
    x = torch.randn(2, 3, 64, 64)
    assert torch.equal(model(x), plain(x))
    model(x).square().mean().backward()
    assert model.get_parameter(f"layer4.out_{kind}.gamma").grad.any()


def test_an_image_does_not_see_its_batch() -> None:
    module = DoubleAttention(C).double().eval()
    x = image((7, 7), 3).double()
    torch.testing.assert_close(module(x)[:1], module(x[:1]))


def test_criss_cross_weights_are_those_of_row_and_column() -> None:
    module = CrissCrossAttention(C, 4, 5)
    weights = module.attention(image((4, 5)))[0, 0]
    places = module.attended
    assert places.shape == (4, 5, 9, 2)
    assert torch.equal(places[2, 3, :4], torch.tensor([[0.0, 3.0], [1.0, 3.0], [2.0, 3.0], [3.0, 3.0]]))
    assert torch.equal(places[2, 3, 4:, 0], torch.full((5,), 2.0))
    itself = (places == places.new_tensor([2, 3])).all(-1)[2, 3].nonzero().flatten()
    assert weights[2, 3, itself[0]] == 0
    assert weights[2, 3, itself[1]] > 0


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_position_attention_is_fused(layout: torch.memory_format) -> None:
    module, x = PositionAttention(64), torch.randn(2, 64, 7, 7).to(memory_format=layout).requires_grad_()
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.FLASH_ATTENTION):
        module(x).sum().backward()


@pytest.mark.parametrize("kind", ["pam", "a2", "crisscross", "cam"])
def test_on_tokens(kind: str) -> None:
    rule = {"use": kind, "after": "mixer", "where": "block == 1", "expect": 1}
    model = composer.build({"backbone": "vit_tiny_patch16_224", "input": [3, 32, 32], "attention": [rule]}).eval()
    assert model(torch.randn(1, 3, 32, 32)).isfinite().all()
