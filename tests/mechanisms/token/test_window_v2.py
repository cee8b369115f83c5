"""Cosine window attention beside timm's and torchvision's, and with padding beside a matrix of all positions."""

from __future__ import annotations

import math

import pytest
import torch
from timm.models.swin_transformer_v2 import SwinTransformerV2Block
from torch import nn

import composer
from composer.mechanisms.token.window_v2 import CosineWindowAttention
from tests.mechanisms.oracle import SMALL, agree


class Timms(nn.Module):
    """What timm's block does around its attention and within it, on maps."""

    def __init__(self, channels, height, width, shift):
        super().__init__()
        block = SwinTransformerV2Block(channels, (height, width), num_heads=2, window_size=7, shift_size=shift)
        # A layer scale of its own would follow, and norms and an MLP behind the attention.
        block.norm1 = block.norm2 = block.mlp = nn.Identity()
        self.block = block

    def forward(self, x):
        return self.block._attn(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


def renamed(state):
    return {f"block.attn.{name}": one for name, one in state.items()}


@pytest.mark.parametrize("shift", [0, 3])
@pytest.mark.parametrize(("height", "width"), [(7, 7), (14, 14), (14, 21), (56, 56)])
def test_equals_timms(height, width, shift):
    ours = CosineWindowAttention(8, height, width, num_heads=2, shift=shift)
    # timm computes the coordinates of offsets in float32.
    agree(ours, Timms(8, height, width, shift), torch.randn(2, 8, height, width), carry=renamed, tolerance=1e-6)


class AllPositions(nn.Module):
    """Windows begin at row and column `shift`, and at every seventh from there; nothing is padded, rolled or cut."""

    def __init__(self, ours, shift):
        super().__init__()
        self.ours, self.heads = ours, ours.num_heads
        height, width = ours.size
        rows, columns = ours.window
        down, right = shift if height > 7 else 0, shift if width > 7 else 0
        places = [(i, j) for i in range(height) for j in range(width)]

        def near(a, b):
            across = (a[0] - down) // rows == (b[0] - down) // rows
            return across and (a[1] - right) // columns == (b[1] - right) // columns

        def step(offset, side):
            e = 8 * offset / max(1, side - 1)
            return math.copysign(math.log2(1 + abs(e)) / 3, e)

        self.sees = torch.tensor([[near(a, b) for b in places] for a in places])
        d = [(step(a[0] - b[0], rows), step(a[1] - b[1], columns)) for a in places for b in places]
        self.d, self.pair = torch.tensor(d).unique(dim=0, return_inverse=True)

    def forward(self, x):
        ours = self.ours
        bias = torch.cat([ours.q_bias, torch.zeros_like(ours.q_bias), ours.v_bias])
        qkv = x.flatten(2).transpose(1, 2) @ ours.qkv.weight.T + bias
        q, k, v = (one.unflatten(2, (self.heads, -1)).transpose(1, 2) for one in qkv.chunk(3, 2))
        cosines = q @ k.transpose(2, 3) / q.norm(dim=-1)[..., None] / k.norm(dim=-1)[..., None, :]
        logits = cosines * ours.logit_scale.clamp(max=math.log(100)).exp()
        bias = ours.cpb_mlp(self.d)[self.pair].unflatten(0, self.sees.shape).permute(2, 0, 1)
        logits = logits + 16 * bias.sigmoid()
        y = logits.masked_fill(~self.sees, -1e300).softmax(-1) @ v
        return ours.proj(y.transpose(1, 2).flatten(2)).transpose(1, 2).unflatten(2, ours.size)


@pytest.mark.parametrize("shift", [0, 3])
@pytest.mark.parametrize(("height", "width"), [(1, 1), *SMALL, (9, 5)])
def test_padding_is_as_if_there_were_none(height, width, shift, double):
    ours = CosineWindowAttention(4, height, width, num_heads=2, shift=shift)
    with torch.no_grad():
        for one in ours.parameters():
            one.normal_(std=0.5)
    x = torch.randn(2, 4, height, width)
    torch.testing.assert_close(ours(x), AllPositions(ours, shift)(x), rtol=0, atol=1e-9)


def test_the_factor_of_a_cosine_is_at_most_100():
    module = CosineWindowAttention(8, 7, 7, num_heads=2)
    x = torch.randn(1, 8, 7, 7)
    with torch.no_grad():
        module.logit_scale.fill_(math.log(100))
        expected = module(x)
        module.logit_scale.fill_(9.0)
        torch.testing.assert_close(module(x), expected)
    assert CosineWindowAttention(8, 7, 7).logit_scale.exp().item() == pytest.approx(10)


def test_parameters():
    assert sum(p.numel() for p in CosineWindowAttention(64, 56, 56).parameters()) == 19_138


def test_in_networks_of_maps_and_of_tokens():
    for backbone, rule in (
        ("resnet18", {"after": "block"}),
        ("vit_tiny_patch16_224", {"after": "block", "where": "block <= 2", "with": {"window": 2}}),
        ("swin_tiny_patch4_window7_224", {"replace": "mixer", "where": "stage == 1"}),
    ):
        model = composer.build(
            {"backbone": backbone, "input": [3, 64, 64], "attention": [{"use": "window_v2", **rule}]}
        )
        shifts = [one.shift[0] for one in model.modules() if isinstance(one, CosineWindowAttention)]
        assert shifts[0] == 0
        assert max(shifts) > 0
        assert model(torch.randn(1, 3, 64, 64)).isfinite().all()
