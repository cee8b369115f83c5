"""Spatial-reduction attention beside timm's of PVT v2, on maps."""

from __future__ import annotations

import pytest
import torch
from timm.models.pvt_v2 import Attention
from torch import nn

import composer
from composer.errors import ComposerError
from composer.mechanisms.token.sra import SpatialReduction
from tests.mechanisms.oracle import SIZES, agree


class OnMaps(nn.Module):
    def __init__(self, **options):
        super().__init__()
        self.inner = Attention(8, num_heads=2, qkv_bias=True, **options)

    def forward(self, x):
        y = self.inner(x.flatten(2).transpose(1, 2), x.shape[2:])
        return y.transpose(1, 2).unflatten(2, x.shape[2:])


def renamed(state):
    return {f"inner.{name}": one for name, one in state.items()}


@pytest.mark.parametrize("ratio", [1, 2, 4])
@pytest.mark.parametrize(("height", "width"), SIZES)
def test_equals_timms(height, width, ratio):
    ours = SpatialReduction(8, height, width, num_heads=2, sr_ratio=ratio)
    agree(ours, OnMaps(sr_ratio=ratio), torch.randn(1, 8, height, width), carry=renamed)


@pytest.mark.parametrize(("height", "width"), [(1, 1), *SIZES])
def test_linear_attention_equals_timms(height, width):
    ours = SpatialReduction(8, height, width, num_heads=2, linear_attn=True)
    agree(ours, OnMaps(linear_attn=True), torch.randn(1, 8, height, width), carry=renamed)


def test_parameters():
    assert sum(p.numel() for p in SpatialReduction(64, 14, 14).parameters()) == 33_216


def test_refusals():
    with pytest.raises(ValueError, match="sra: a map of 7×14 cannot be reduced by 8; set sr_ratio to 7 or less"):
        SpatialReduction(64, 7, 14, sr_ratio=8)
    with pytest.raises(ValueError, match="sra: 60 channels do not divide into 8 heads; set num_heads to 6 or 10"):
        SpatialReduction(60, 7, 7)


def test_in_networks_of_maps_and_of_tokens():
    for backbone, rule in (
        ("resnet18", {"after": "block"}),
        ("vit_tiny_patch16_224", {"after": "block", "where": "block <= 2"}),
        ("swin_tiny_patch4_window7_224", {"replace": "mixer", "where": "stage == 2"}),
    ):
        spec = {"backbone": backbone, "input": [3, 64, 64], "attention": [{"use": "sra", **rule}]}
        model = composer.build(spec)
        assert any(isinstance(one, SpatialReduction) for one in model.modules())
        assert model(torch.randn(2, 3, 64, 64)).isfinite().all()
    rule = {"use": "sra", "after": "block", "with": {"sr_ratio": 8}}
    with pytest.raises(ComposerError, match="a map of 4×4 cannot be reduced by 8"):
        composer.graph({"backbone": "resnet18", "input": [3, 64, 64], "attention": [{**rule, "where": "stage == 3"}]})
