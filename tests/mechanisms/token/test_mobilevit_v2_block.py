"""The MobileViTv2 block beside timm's."""

from __future__ import annotations

from functools import partial

import pytest
import torch
import torch.nn.functional as F
from timm.layers import ConvNormAct
from timm.models.byobnet import LayerFn
from timm.models.mobilevit import MobileVitV2Block

import composer
from composer.mechanisms.token.mobilevit_v2_block import MobileViTv2Block
from tests.mechanisms.oracle import SIZES, agree

LAYERS = LayerFn(conv_norm_act=partial(ConvNormAct, act_layer=torch.nn.SiLU), act=torch.nn.SiLU)


class Peer(MobileVitV2Block):
    """timm's, with an output of the size of its input."""

    def forward(self, x):
        return F.interpolate(super().forward(x), x.shape[2:], mode="bilinear", align_corners=True)


def peer(channels, dim, depth, patch):
    return Peer(channels, transformer_dim=dim, transformer_depth=depth, patch_size=patch, layers=LAYERS)


@pytest.mark.parametrize(("height", "width"), [*SIZES, (1, 1)])
def test_equals_timms(height, width):
    agree(MobileViTv2Block(4, dim=6), peer(4, 6, 2, 2), torch.randn(2, 4, height, width))


def test_larger_patches():
    agree(MobileViTv2Block(4, dim=3, depth=1, patch=3), peer(4, 3, 1, 3), torch.randn(2, 4, 9, 12))


def test_parameters():
    assert sum(p.numel() for p in MobileViTv2Block(64).parameters()) == 20_034


def test_in_networks_of_maps_and_of_tokens():
    for backbone, rule in (
        ("resnet18", {"after": "block", "where": "stage == 4"}),
        ("vit_tiny_patch16_224", {"after": "block", "where": "block <= 2"}),
        ("swin_tiny_patch4_window7_224", {"after": "block", "where": "stage == 2"}),
    ):
        spec = {"backbone": backbone, "input": [3, 64, 64], "attention": [{"use": "mobilevit_v2_block", **rule}]}
        model = composer.build(spec)
        assert any(isinstance(one, MobileViTv2Block) for one in model.modules())
        assert model(torch.randn(2, 3, 64, 64)).isfinite().all()
