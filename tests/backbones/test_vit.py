"""Vision transformers, DeiT and DINOv2 beside timm's."""

from __future__ import annotations

import pytest
import timm
import torch
from backbones.peers import check_count, check_gradients, check_input, check_parity

import composer

# Touvron et al. (2021, table 1) state 5, 22 and 86 M parameters, Dosovitskiy et al. (2021, table 1) 86 and 307 M for
# ViT-Base and ViT-Large.
SIZES = {
    "vit_tiny_patch16_224": 5_717_416,
    "vit_small_patch16_224": 22_050_664,
    "vit_small_patch32_224": 22_878_952,
    "vit_base_patch16_224": 86_567_656,
    "vit_base_patch32_224": 88_224_232,
    "vit_large_patch16_224": 304_326_632,
    "vit_large_patch32_224": 306_535_400,
    "deit_tiny_patch16_224": 5_717_416,
    "deit_small_patch16_224": 22_050_664,
    "deit_base_patch16_224": 86_567_656,
    "deit_tiny_distilled_patch16_224": 5_910_800,
    "deit_small_distilled_patch16_224": 22_436_432,
    "deit_base_distilled_patch16_224": 87_338_192,
    "deit3_small_patch16_224": 22_059_496,
    "vit_small_patch14_dinov2": 22_441_192,
    "vit_small_patch14_reg4_dinov2": 22_442_344,
    "vit_base_patch14_reg4_dinov2": 87_351_016,
}
TINY = ["vit_tiny_patch16_224", "vit_small_patch32_224", "deit_tiny_patch16_224", "deit_tiny_distilled_patch16_224"]
# Every branch ends in a learnt factor per channel; registers, and positions of the patches alone.
SCALED = ["deit3_small_patch16_224", "vit_small_patch14_dinov2", "vit_small_patch14_reg4_dinov2"]


def small(name, **vars):
    return {"backbone": name, "input": [3, 96, 96], "vars": vars}


@pytest.mark.parametrize("name", TINY)
def test_parity(name):
    check_parity(small(name), lambda: timm.create_model(name, img_size=96), size=96)


@pytest.mark.parametrize("name", SCALED)
def test_parity_with_layer_scale_and_registers(name):
    spec = small(name, depth=2)
    create = lambda: timm.create_model(name, img_size=96, depth=2, num_classes=1000)  # noqa: E731
    _, peer = check_parity(spec, create, size=96)
    ours = composer.build(spec).eval()
    ours.load_state_dict(peer.state_dict())
    assert list(ours.state_dict()) == list(peer.state_dict())
    check_gradients(ours, peer.eval(), torch.randn(2, 3, 96, 96, generator=torch.Generator().manual_seed(2)))


def test_positions_of_dinov2_go_to_another_size():
    """Those of the patches alone are resampled, as timm's are when it loads weights."""
    name = "vit_small_patch14_reg4_dinov2"
    theirs = timm.create_model(name, depth=1, img_size=112, num_classes=5).eval()
    large = timm.create_model(name, depth=1, img_size=126, num_classes=5).eval()
    large.load_state_dict(timm.models.vision_transformer.checkpoint_filter_fn(theirs.state_dict(), large))
    ours = composer.build({"backbone": name, "input": [3, 126, 126], "vars": {"depth": 1, "num_classes": 5}}).eval()
    assert "pos_embed: positions of a grid of 8×8 in the file, 9×9 here" in str(
        composer.load_weights(ours, theirs.state_dict())
    )
    images = torch.randn(2, 3, 126, 126, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        assert (ours(images) - large(images)).abs().max() < 1e-5


def test_parity_of_mean_pooling():
    name = "vit_tiny_patch16_224"
    spec = small(name, mean_pool=True)
    graph, _ = check_parity(spec, lambda: timm.create_model(name, img_size=96, global_pool="avg"), size=96)
    assert [place.node.path for place in graph.places.select("features")] == ["blocks"]


@pytest.mark.parametrize(("name", "parameters"), SIZES.items())
def test_counts_sites_and_input(name, parameters):
    graph = check_count(name, lambda: timm.create_model(name, num_classes=1000))
    assert graph.num_parameters == parameters
    found = graph.places.sites
    depth = graph.spec.vars["depth"]
    assert found["mixer"] == found["mlp"] == found["block"] == depth
    assert found["branch"] == 2 * depth
    assert found["stem"] == found["features"] == 1
    assert found["head"] == (2 if "distilled" in name else 1)
    check_input(name, name)


def test_both_heads_of_a_distilled_network_can_be_had():
    spec = {"backbone": "deit_tiny_distilled_patch16_224", "outputs": {"classes": "head", "teacher": "head_dist"}}
    graph = composer.graph(spec)
    assert {name: tensor.channels for name, tensor in graph.outputs.items()} == {"classes": 1000, "teacher": 1000}


@pytest.mark.parametrize("name", ["vit_tiny_patch16_224", "deit_tiny_distilled_patch16_224"])
def test_another_input_and_grey(name):
    learnt = {"input": [1, 96, 128], "vars": {"learnt": 14}}
    graph = composer.graph({"backbone": name, **learnt})
    plain = composer.graph(name)
    assert graph.num_parameters == plain.num_parameters - 2 * 192 * 16 * 16
    prefix = 2 if "distilled" in name else 1
    assert graph.root.tensor("norm").shape == (2, prefix + 6 * 8, 192)
    assert graph.root.tensor("pos_embed").shape == (1, prefix + 14 * 14, 192)


def test_a_mixer_by_another():
    spec = {
        "backbone": "vit_tiny_patch16_224",
        "attention": [
            {"use": "sa", "replace": "mixer", "where": "block > 6", "expect": 6},
            {"use": "mhsa", "after": "mlp", "with": {"num_heads": 3}, "start": "identity", "expect": 12},
        ],
    }
    assert len(composer.graph(spec).added[0].places) == 6


@pytest.mark.parametrize("name", ["deit_tiny_distilled_patch16_224", "vit_tiny_patch16_224"])
def test_order_of_the_weights_and_what_arrives_at_the_classifiers(name):
    """An optimiser's state goes by order; of both tokens of a distilled network it is the mean."""
    peer, ours = timm.create_model(name).eval(), composer.build(name).eval()
    assert list(ours.state_dict()) == list(peer.state_dict())
    assert [key for key, _ in ours.named_parameters()] == [key for key, _ in peer.named_parameters()]
    ours.load_state_dict(peer.state_dict())
    features = torch.randn(2, 198, 192, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        assert torch.equal(ours.forward_head(features, pre_logits=True), peer.forward_head(features, pre_logits=True))
