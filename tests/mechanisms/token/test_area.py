"""Area attention beside the authors' code in plain steps, also where areas are of unequal size."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import composer
from composer.mechanisms.token.area import AreaAttention
from tests.mechanisms.oracle import SMALL, agree


class ConvNorm(nn.Module):
    def __init__(self, inputs, outputs, kernel=1, groups=1):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, groups=groups, bias=False)
        self.bn = nn.BatchNorm2d(outputs)

    def forward(self, x):
        return self.bn(self.conv(x))


class Plain(nn.Module):
    """What the authors' AAttn computes, as a matrix of all positions that is 0 between areas."""

    def __init__(self, channels, heads, areas):
        super().__init__()
        self.qk, self.v, self.proj = (ConvNorm(channels, many * channels) for many in (2, 1, 1))
        self.pe = ConvNorm(channels, channels, 5, channels)
        self.heads, self.areas = heads, areas

    def forward(self, x):
        height, width = x.shape[2:]
        q, k = self.qk(x).chunk(2, 1)
        v = self.v(x)
        q, k, values = (one.flatten(2).unflatten(1, (self.heads, -1)) for one in (q, k, v))
        longest = -(-height * width // self.areas)
        area = torch.arange(height * width) // longest
        logits = torch.einsum("bhpn,bhpm->bhnm", q, k) / q.shape[2] ** 0.5
        weights = logits.masked_fill(area[:, None] != area, float("-inf")).softmax(-1)
        y = torch.einsum("bhnm,bhpm->bhpn", weights, values).flatten(1, 2).unflatten(2, (height, width))
        return self.proj(y + self.pe(v))


# 4 divides none of 49, 221 and 25 positions; 2 × 1 positions leave two areas empty.
@pytest.mark.parametrize(("height", "width"), [*SMALL, (5, 5), (2, 1)])
def test_equals_the_authors(height, width):
    agree(AreaAttention(8, height, width, num_heads=2), Plain(8, 2, 4), torch.randn(3, 8, height, width))


def test_one_area_is_the_whole_map():
    agree(AreaAttention(8, 5, 7, areas=1, num_heads=4), Plain(8, 4, 1), torch.randn(2, 8, 5, 7))


@pytest.mark.parametrize(("height", "width"), [(4, 6), (5, 7)])
def test_attention_takes_the_values(height, width):
    module = AreaAttention(8, height, width, num_heads=2).double().eval()
    x = torch.randn(2, 8, height, width, dtype=torch.float64)
    v = module.v(x)
    y = torch.einsum("bhnm,bhpm->bhpn", module.attention(x), v.flatten(2).unflatten(1, (2, 4)))
    y = y.flatten(1, 2).unflatten(2, (height, width))
    torch.testing.assert_close(module.proj(y + module.pe(v)), module(x), rtol=0, atol=1e-12)


def test_other_sizes_that_areas_divide():
    module = AreaAttention(8, 4, 4, num_heads=2).eval()
    plain = Plain(8, 2, 4).eval()
    plain.load_state_dict(module.state_dict())
    x = torch.randn(1, 8, 6, 10)
    torch.testing.assert_close(module(x), plain(x))


def test_parameters():
    assert sum(p.numel() for p in AreaAttention(64, 14, 14).parameters()) == 18_624


def test_refusals():
    with pytest.raises(ValueError, match="area: 7×7 positions do not divide into 4 areas; build it for that size"):
        AreaAttention(8, 4, 4)(torch.randn(1, 8, 7, 7))
    with pytest.raises(ValueError, match="area: built for maps of 7×7, found 8×8; build it for that size"):
        AreaAttention(8, 7, 7)(torch.randn(1, 8, 8, 8))
    with pytest.raises(ValueError, match="area: 64 channels do not divide into 5 heads; set num_heads to 4 or 8"):
        AreaAttention(64, 7, 7, num_heads=5)


def test_in_networks_of_maps_and_of_tokens():
    for backbone, rule in (
        ("resnet18", {"after": "block"}),
        ("vit_tiny_patch16_224", {"after": "block", "where": "block <= 2"}),
        ("swin_tiny_patch4_window7_224", {"replace": "mixer", "where": "stage == 2"}),
    ):
        spec = {"backbone": backbone, "input": [3, 64, 64], "attention": [{"use": "area", **rule}]}
        model = composer.build(spec)
        assert any(isinstance(one, AreaAttention) for one in model.modules())
        assert model(torch.randn(2, 3, 64, 64)).isfinite().all()
