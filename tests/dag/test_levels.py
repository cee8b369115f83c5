"""Features at each scale: channels, reductions and values of timm's pyramids, and what is true of other networks."""

from __future__ import annotations

from typing import Any

import pytest
import timm
import torch
from backbones.peers import randomised

import composer

# A network of each family that timm gives pyramids of.
PYRAMIDS = [
    "convnext_tiny",
    "densenet121",
    "dm_nfnet_f0",
    "efficientnet_b0",
    "efficientnetv2_s",
    "inception_v3",
    "mnasnet_100",
    "mobilenetv1_100",
    "mobilenetv2_100",
    "mobilenetv3_large_100",
    "mobilenetv3_small_100",
    "nfnet_f0",
    "pvt_v2_b0",
    "regnety_002",
    "resnest14d",
    "resnet18",
    "resnet50d",
    "skresnext50_32x4d",
    "swin_tiny_patch4_window7_224",
    "vgg11_bn",
]
QUICK = ["densenet121", "efficientnet_b0", "mobilenetv3_large_100", "mobilenetv3_small_100", "regnety_002", "resnet18"]
TOKENS = ["vit_tiny_patch16_224", "deit_tiny_distilled_patch16_224"]


@pytest.mark.parametrize("name", PYRAMIDS)
def test_channels_and_reductions_are_timms(name: str) -> None:
    with torch.device("meta"):
        wanted = timm.create_model(name, features_only=True).feature_info
    found = composer.graph(name).levels
    assert [level.channels for level in found] == wanted.channels()
    assert [level.reduction for level in found] == wanted.reduction()


@torch.no_grad()
@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in PYRAMIDS]
)
def test_values_are_timms(name: str) -> None:
    ours, peer = randomised(composer.build(name)).eval(), timm.create_model(name, features_only=True).eval()
    # timm's pyramid has the same modules under flattened names.
    flat = {key.replace(".", "_"): tensor for key, tensor in ours.state_dict().items()}
    peer.load_state_dict({key: flat[key.replace(".", "_")] for key in peer.state_dict()})
    swin = name.startswith("swin")
    side = {"inception_v3": 96}.get(name, 224 if swin else 64)
    images = torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(2))
    # timm's networks of patches that stay b h w c say so in `output_fmt`; ours are b c h w of every backbone.
    theirs = [one.permute(0, 3, 1, 2) if swin else one for one in peer(images)]
    for found, wanted in zip(composer.features(ours)(images).values(), theirs, strict=True):
        assert found.shape == wanted.shape
        # Swin's windows go through one fused attention of ours, and through many of timm's, which copies PVT's maps.
        assert (found - wanted).abs().max() <= (1e-5 * wanted.abs().max() if name.startswith(("swin", "pvt")) else 0)


@pytest.mark.parametrize("name", TOKENS)
def test_blocks_of_tokens_are_timms(name: str) -> None:
    """timm gives the last three unless asked; here it is asked for all."""
    with torch.device("meta"):
        wanted = timm.create_model(name, features_only=True, out_indices=tuple(range(12))).feature_info
    found = composer.graph(name).levels
    assert [level.path for level in found] == wanted.module_name()
    assert [level.channels for level in found] == wanted.channels()
    assert [level.reduction for level in found] == wanted.reduction()


@torch.no_grad()
@pytest.mark.parametrize("name", TOKENS)
def test_values_of_tokens_are_timms(name: str) -> None:
    """A block's patches alone, as a map."""
    ours = randomised(composer.build(name, vars={"depth": 2})).eval()
    peer = timm.create_model(name, features_only=True, depth=2, out_indices=(0, 1)).eval()
    peer.load_state_dict({key: ours.state_dict()[key.removeprefix("model.")] for key in peer.state_dict()})
    images = torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(2))
    for found, wanted in zip(composer.features(ours)(images).values(), peer(images), strict=True):
        assert torch.equal(found, wanted)


def convolution(stride: int = 2, **options: Any) -> dict[str, Any]:
    return {"op": "conv2d", "out_channels": 4, "kernel_size": 3, "stride": stride, **options}


HALF = {"half": {"site": "block", "nodes": {"conv": convolution()}}}
BLOCKS = {"x": {"block": "half"}, "y": {"block": "half"}}


def levels(nodes: dict[str, Any], blocks: dict[str, Any] = HALF) -> list[tuple[str, int]]:
    outputs = {name: name for name in nodes}
    graph = composer.graph({"input": [3, 64, 64], "blocks": blocks, "nodes": nodes, "outputs": outputs})
    return [(level.path, level.reduction) for level in graph.levels]


def test_a_block_without_stages_has_the_reduction_of_its_own_map() -> None:
    assert levels(BLOCKS) == [("x", 2), ("y", 4)]
    assert levels({**BLOCKS, "pool": {"op": "global_avg_pool", "keepdim": True}}) == [("x", 2), ("y", 4)]


def test_a_block_of_tokens_has_the_reduction_of_the_last_map_before_it_ends() -> None:
    tokens = {"op": "rearrange", "pattern": "b c h w -> b (h w) c"}
    mixer = {"op": "mhsa", "num_heads": 2}
    blocks = {
        "mix": {"site": "block", "nodes": {"mixer": mixer}},
        "embed": {"site": "block", "nodes": {"conv": convolution(), "tokens": tokens, "mixer": mixer}},
    }
    nodes = {"stem": convolution(), "first": {"block": "embed"}, "second": {"block": "mix"}}
    assert levels(nodes, blocks) == [("first", 4), ("second", 4)]
    later = {"pooled": {"op": "global_avg_pool", "from": "stem", "keepdim": True}}
    assert levels({"stem": convolution(), "tokens": tokens, "one": {"block": "mix"}} | later, blocks) == [("one", 2)]


def test_a_tag_says_which_node_is_the_level_of_its_scale() -> None:
    stage = {"stage": {"site": "stage", "nodes": {"conv": convolution()}}}
    nodes = {"stem": convolution(), "one": {"block": "stage"}, "two": {"block": "stage"}, "wide": convolution(1)}
    assert levels(nodes, stage) == [("stem", 2), ("one", 4), ("two", 8)]
    assert levels(nodes | {"wide": convolution(1, site="level")}, stage) == [("stem", 2), ("one", 4), ("wide", 8)]
    assert levels({"a": convolution(site="level"), "b": convolution(), "c": convolution(site="level")}) == [
        ("a", 2),
        ("c", 8),
    ]


def test_stages_that_end_in_tokens_are_levels() -> None:
    """As in pyramid transformers: tokens of a known grid count as the map that they come from."""
    stage = {
        "conv": {"op": "conv2d", "out_channels": 8, "kernel_size": 2, "stride": 2, "padding": 0},
        "tokens": "map_to_tokens",
        "norm": "layer_norm",
    }
    nodes = {
        "first": {"block": "stage", "site": "stage"},
        "map": {"op": "patches_to_map", "grid": [8, 12]},
        "second": {"block": "stage", "site": "stage"},
        "pooled": "mean_tokens",
    }
    model = composer.build({"input": [3, 16, 24], "blocks": {"stage": {"nodes": stage}}, "nodes": nodes})
    assert [(level.path, level.reduction) for level in model.graph.levels] == [("first", 2), ("second", 4)]
    found = composer.features(model)(torch.zeros(1, 3, 16, 24))
    assert {name: tuple(value.shape) for name, value in found.items()} == {"c1": (1, 8, 8, 12), "c2": (1, 8, 4, 6)}
