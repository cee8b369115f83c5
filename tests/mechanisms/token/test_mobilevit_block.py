"""The MobileViT block beside timm's, and beside the nodes of our own network."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from timm.layers import ConvNormAct
from timm.models.byobnet import LayerFn
from timm.models.mobilevit import MobileVitBlock
from torch import nn

import composer
from composer.errors import ComposerError
from composer.mechanisms.token.mobilevit_block import MobileViTBlock
from tests.mechanisms.oracle import SIZES, agree

LAYERS = LayerFn(conv_norm_act=partial(ConvNormAct, act_layer=nn.SiLU), act=nn.SiLU)


def peer(channels, dim, depth, heads, patch):
    return MobileVitBlock(
        channels, transformer_dim=dim, transformer_depth=depth, num_heads=heads, patch_size=patch, layers=LAYERS
    )


@pytest.mark.parametrize(("height", "width"), [*SIZES, (1, 1)])
def test_equals_timms(height, width):
    ours = MobileViTBlock(4, dim=6, depth=2, num_heads=2)
    agree(ours, peer(4, 6, 2, 2, 2), torch.randn(2, 4, height, width))


def test_larger_patches():
    agree(MobileViTBlock(4, dim=8, depth=1, patch=3), peer(4, 8, 1, 4, 3), torch.randn(2, 4, 10, 7))


def test_it_is_the_block_of_our_network():
    network = composer.build({"backbone": "mobilevit_xxs", "input": [3, 64, 64], "vars": {"num_classes": 5}}).eval()
    start = "stages.4.1."
    state = {name[len(start) :]: one for name, one in network.state_dict().items() if name.startswith(start)}
    ours = MobileViTBlock(80, dim=96, depth=3).eval()
    ours.load_state_dict(state)
    ends = composer.features(network, {"before": "stages.4.0", "after": "stages.4.1"})(torch.randn(2, 3, 64, 64))
    torch.testing.assert_close(ours(ends["before"]), ends["after"], rtol=1e-4, atol=1e-5)


def test_parameters_and_defaults():
    """MobileViT-S has 144, 192 and 240 channels in a token at 96, 128 and 160."""
    assert sum(p.numel() for p in MobileViTBlock(64).parameters()) == 273_024
    assert [MobileViTBlock(channels).norm.normalized_shape for channels in (96, 128, 160)] == [(144,), (192,), (240,)]


def test_places_of_a_patch_do_not_look_at_each_other():
    """With convolutions that see one position, a change reaches positions at the same place in their patches alone."""
    module = MobileViTBlock(4, dim=8, depth=1).double().eval()
    with torch.no_grad():
        for conv in (module.conv_kxk[0], module.conv_fusion[0]):
            middle = conv.weight[:, :, 1, 1].clone()
            conv.weight.zero_()[:, :, 1, 1] = middle
        for block in module.transformer:
            block.attn.proj.weight.normal_()
    x = torch.randn(1, 4, 6, 6, dtype=torch.float64)
    changed = x.clone()
    changed[0, :, 2, 3] += 1
    rows, columns = torch.nonzero((module(x) != module(changed)).any(1)[0], as_tuple=True)
    assert {(i % 2, j % 2) for i, j in zip(rows.tolist(), columns.tolist(), strict=True)} == {(0, 1)}
    assert len(rows) == 9


def test_refusals():
    with pytest.raises(ValueError, match="mobilevit_block: 30 channels do not divide into 4 heads; set num_heads to 3"):
        MobileViTBlock(16, dim=30)


def test_in_networks_of_maps_and_of_tokens():
    for backbone, rule in (
        ("resnet18", {"after": "block", "where": "stage == 4"}),
        ("vit_tiny_patch16_224", {"after": "block", "where": "block <= 2"}),
        ("swin_tiny_patch4_window7_224", {"after": "block", "where": "stage == 2"}),
    ):
        spec = {"backbone": backbone, "input": [3, 64, 64], "attention": [{"use": "mobilevit_block", **rule}]}
        model = composer.build(spec)
        assert any(isinstance(one, MobileViTBlock) for one in model.modules())
        assert model(torch.randn(2, 3, 64, 64)).isfinite().all()
    rule = {"use": "mobilevit_block", "after": "block", "with": {"dim": 30}}
    with pytest.raises(ComposerError, match="30 channels do not divide into 4 heads"):
        composer.graph({"backbone": "resnet18", "attention": [rule]})
