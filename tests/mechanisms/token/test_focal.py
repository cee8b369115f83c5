"""Focal modulation beside timm's."""

from __future__ import annotations

import pytest
import torch
from timm.models.focalnet import FocalModulation as TimmsModulation

import composer
from composer.mechanisms.token.focal import FocalModulation
from tests.mechanisms.oracle import SIZES, agree


@pytest.mark.parametrize(("levels", "window", "normalised"), [(2, 3, False), (3, 5, True)])
@pytest.mark.parametrize(("height", "width"), [(1, 1), *SIZES])
def test_equals_timms(height, width, levels, window, normalised):
    ours = FocalModulation(8, focal_level=levels, focal_window=window, normalize_modulator=normalised)
    theirs = TimmsModulation(8, window, levels, normalize_modulator=normalised)
    agree(ours, theirs, torch.randn(2, 8, height, width))


def test_the_attention_is_how_much_of_each_level_is_taken():
    module = FocalModulation(4, focal_level=1).double()
    x = torch.randn(2, 4, 5, 7, dtype=torch.float64)
    q, z, g = module.f(x).split([4, 4, 2], 1)
    torch.testing.assert_close(module.attention(x).flatten(1), g.mean((2, 3)))
    near = module.focal_layers[0](z)
    whole = torch.nn.functional.gelu(near.mean((2, 3), keepdim=True))
    y = module.proj(q * module.h(g[:, :1] * near + g[:, 1:] * whole))
    torch.testing.assert_close(module(x), y, rtol=0, atol=1e-12)


def test_parameters():
    count = sum(p.numel() for p in TimmsModulation(64, 3, 2).parameters())
    assert sum(p.numel() for p in FocalModulation(64).parameters()) == count == 19_011


def test_refusals():
    with pytest.raises(ValueError, match="focal: focal_factor=3 gives even kernels; use an even number"):
        FocalModulation(8, focal_factor=3)


def test_in_networks_of_maps_and_of_tokens():
    for backbone, rule in (
        ("resnet18", {"after": "block"}),
        ("vit_tiny_patch16_224", {"after": "block", "where": "block <= 2"}),
        ("swin_tiny_patch4_window7_224", {"replace": "mixer", "where": "stage == 2"}),
    ):
        spec = {"backbone": backbone, "input": [3, 64, 64], "attention": [{"use": "focal", **rule}]}
        model = composer.build(spec)
        assert any(isinstance(one, FocalModulation) for one in model.modules())
        assert model(torch.randn(2, 3, 64, 64)).isfinite().all()
