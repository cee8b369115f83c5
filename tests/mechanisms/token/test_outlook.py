"""Outlook attention beside timm's."""

from __future__ import annotations

import pytest
import torch
from timm.models.volo import OutlookAttention as TimmsAttention
from torch import nn

import composer
from composer.mechanisms.token.outlook import OutlookAttention
from tests.mechanisms.oracle import SIZES, agree


class OnMaps(nn.Module):
    def __init__(self, *args, **options):
        super().__init__()
        self.inner = TimmsAttention(*args, **options)

    def forward(self, x):
        return self.inner(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


def renamed(state):
    return {f"inner.{name}": one for name, one in state.items()}


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize(("height", "width"), [(1, 1), *SIZES])
def test_equals_timms(height, width, stride):
    ours = OutlookAttention(8, num_heads=2, stride=stride)
    agree(ours, OnMaps(8, 2, stride=stride), torch.randn(1, 8, height, width), carry=renamed)


def test_a_wider_kernel():
    ours = OutlookAttention(8, num_heads=2, kernel_size=5)
    agree(ours, OnMaps(8, 2, kernel_size=5, padding=2), torch.randn(2, 8, 6, 7), carry=renamed)


@pytest.mark.parametrize("stride", [1, 2])
def test_attention_takes_the_values(stride):
    module = OutlookAttention(8, num_heads=2, stride=stride).double()
    x = torch.randn(2, 8, 5, 6, dtype=torch.float64)
    v = module.v(x.permute(0, 2, 3, 1)).flatten(1, 2).unflatten(2, (2, 4))
    y = module.proj(torch.einsum("bhnm,bmhp->bnhp", module.attention(x), v).flatten(2))
    torch.testing.assert_close(y.transpose(1, 2).unflatten(2, (5, 6)), module(x), rtol=0, atol=1e-12)


def test_parameters():
    assert sum(p.numel() for p in OutlookAttention(64).parameters()) == 18_786
    assert sum(p.numel() for p in TimmsAttention(64, 2).parameters()) == 18_786


def test_refusals():
    with pytest.raises(ValueError, match="outlook: 64 channels do not divide into 5 heads; set num_heads to 4 or 8"):
        OutlookAttention(64, num_heads=5)


def test_in_networks_of_maps_and_of_tokens():
    for backbone, rule in (
        ("resnet18", {"after": "block"}),
        ("vit_tiny_patch16_224", {"after": "block", "where": "block <= 2"}),
        ("swin_tiny_patch4_window7_224", {"replace": "mixer", "where": "stage == 2"}),
    ):
        spec = {"backbone": backbone, "input": [3, 64, 64], "attention": [{"use": "outlook", **rule}]}
        model = composer.build(spec)
        assert any(isinstance(one, OutlookAttention) for one in model.modules())
        assert model(torch.randn(2, 3, 64, 64)).isfinite().all()
