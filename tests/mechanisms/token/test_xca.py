"""Cross-covariance attention beside timm's."""

from __future__ import annotations

import pytest
import torch
from timm.models.xcit import XCA

import composer
from composer.mechanisms.token.xca import CrossCovariance
from tests.mechanisms.oracle import SIZES, agree


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize(("height", "width"), SIZES)
def test_equals_timms(height, width, bias):
    ours = CrossCovariance(8, num_heads=2, qkv_bias=bias)
    agree(ours, XCA(8, num_heads=2, qkv_bias=bias), torch.randn(2, height * width, 8))


def test_a_channel_mixes_those_of_its_head_alone():
    module = CrossCovariance(8, num_heads=2)
    assert module.attention(torch.randn(3, 11, 8)).shape == (3, 2, 4, 4)


def test_many_large_tokens_in_half_precision():
    """The squares of 3,000 numbers around 8 sum to more than float16 holds."""
    module, x = CrossCovariance(8, num_heads=2), 8 * torch.randn(1, 3000, 8)
    with torch.no_grad():
        module.qkv.weight.copy_(torch.eye(8).repeat(3, 1))
        module.proj.weight.copy_(torch.eye(8))
    found = module.half()(x.half()).float()
    torch.testing.assert_close(found, module.float()(x), rtol=0.02, atol=0.05)


def test_parameters():
    assert sum(p.numel() for p in CrossCovariance(64).parameters()) == 16_648


def test_refusals():
    with pytest.raises(ValueError, match="xca: 60 channels do not divide into 8 heads; set num_heads to 6 or 10"):
        CrossCovariance(60)


def test_in_networks_of_maps_and_of_tokens():
    for backbone, rule in (
        ("resnet18", {"after": "block"}),
        ("vit_tiny_patch16_224", {"replace": "mixer", "where": "block <= 2"}),
        ("swin_tiny_patch4_window7_224", {"replace": "mixer", "where": "stage == 2"}),
    ):
        spec = {"backbone": backbone, "input": [3, 64, 64], "attention": [{"use": "xca", **rule}]}
        model = composer.build(spec)
        assert any(isinstance(one, CrossCovariance) for one in model.modules())
        assert model(torch.randn(2, 3, 64, 64)).isfinite().all()
