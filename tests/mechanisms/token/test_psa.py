"""YOLO's partial self-attention beside the authors' code in plain steps."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import composer
from composer.errors import ComposerError
from composer.mechanisms.token.psa import PartialSelfAttention
from tests.mechanisms.oracle import SMALL, agree


class ConvNorm(nn.Module):
    def __init__(self, inputs, outputs, kernel=1, groups=1, act=True):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, groups=groups, bias=False)
        self.bn, self.act = nn.BatchNorm2d(outputs), act

    def forward(self, x):
        y = self.bn(self.conv(x))
        return y * y.sigmoid() if self.act else y


class Attention(nn.Module):
    def __init__(self, channels, heads):
        super().__init__()
        self.heads, self.dim = heads, channels // heads
        self.qkv = ConvNorm(channels, channels + 2 * (self.dim // 2) * heads, act=False)
        self.proj = ConvNorm(channels, channels, act=False)
        self.pe = ConvNorm(channels, channels, 3, channels, act=False)

    def forward(self, x):
        each = self.qkv(x).flatten(2).chunk(self.heads, 1)
        outputs, values = [], []
        for head in each:
            q, k, v = head.split([self.dim // 2, self.dim // 2, self.dim], 1)
            weights = (q.transpose(1, 2) @ k * (self.dim // 2) ** -0.5).softmax(-1)
            outputs.append(v @ weights.transpose(1, 2))
            values.append(v)
        y, v = (torch.cat(one, 1).unflatten(2, x.shape[2:]) for one in (outputs, values))
        return self.proj(y + self.pe(v))


class Plain(nn.Module):
    def __init__(self, channels, heads):
        super().__init__()
        half = channels // 2
        self.half = half
        self.cv1, self.cv2 = ConvNorm(channels, 2 * half), ConvNorm(2 * half, channels)
        self.attn = Attention(half, heads)
        self.ffn = nn.Sequential(ConvNorm(half, 2 * half), ConvNorm(2 * half, half, act=False))

    def forward(self, x):
        a, b = self.cv1(x).split(self.half, 1)
        b = b + self.attn(b)
        b = b + self.ffn(b)
        return self.cv2(torch.cat((a, b), 1))


@pytest.mark.parametrize("heads", [1, 2])
@pytest.mark.parametrize(("height", "width"), SMALL)
def test_equals_the_authors(height, width, heads):
    agree(PartialSelfAttention(8, num_heads=heads), Plain(8, heads), torch.randn(2, 8, height, width))


def test_odd_heads():
    agree(PartialSelfAttention(20, num_heads=2), Plain(20, 2), torch.randn(2, 20, 5, 7))


@pytest.mark.parametrize(
    ("channels", "parameters", "heads"), [(64, 16_352, 1), (128, 63_424, 1), (256, 249_728, 2), (400, 606_200, 2)]
)
def test_parameters(channels, parameters, heads):
    module = PartialSelfAttention(channels)
    assert sum(p.numel() for p in module.parameters()) == parameters
    assert module.attn.num_heads == heads


def test_attention_takes_the_values():
    module = PartialSelfAttention(16, num_heads=2).double().eval()
    x = torch.randn(2, 16, 5, 7, dtype=torch.float64)
    b = module.cv1(x).chunk(2, 1)[1]
    v = module.attn.heads(b)[2]
    y, maps = ((one.transpose(2, 3).flatten(1, 2).unflatten(2, (5, 7))) for one in (module.attention(x) @ v, v))
    torch.testing.assert_close(module.attn.proj(y + module.attn.pe(maps)), module.attn(b), rtol=0, atol=1e-12)


def test_a_single_position():
    module = PartialSelfAttention(16)
    assert module.eval()(torch.randn(1, 16, 1, 1)).isfinite().all()
    assert module.train()(torch.randn(2, 16, 1, 1)).isfinite().all()


def test_refusals():
    with pytest.raises(ValueError, match="psa: 15 channels have no halves; put it where their number is even"):
        PartialSelfAttention(15)
    with pytest.raises(ValueError, match="psa: 32 channels do not divide into 5 heads; set num_heads to 4 or 8"):
        PartialSelfAttention(64, num_heads=5)
    with pytest.raises(ValueError, match="psa: heads of 1 channel have no keys; set num_heads to 4 or less"):
        PartialSelfAttention(16, num_heads=8)


def test_in_networks_of_maps_and_of_tokens():
    for backbone, rule in (
        ("resnet18", {"after": "stage", "where": "last"}),
        ("vit_tiny_patch16_224", {"after": "block", "where": "block <= 2"}),
        ("swin_tiny_patch4_window7_224", {"after": "block", "where": "stage == 2"}),
    ):
        spec = {"backbone": backbone, "input": [3, 64, 64], "attention": [{"use": "psa", **rule}]}
        model = composer.build(spec)
        assert any(isinstance(one, PartialSelfAttention) for one in model.modules())
        assert model(torch.randn(2, 3, 64, 64)).isfinite().all()
    rule = {"use": "psa", "after": "block", "with": {"num_heads": 3}}
    with pytest.raises(ComposerError, match="32 channels do not divide into 3 heads"):
        composer.graph({"backbone": "resnet18", "attention": [rule]})
