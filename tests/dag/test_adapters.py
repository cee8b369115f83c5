"""Mechanisms where another layout arrives, by rules and as nodes: what stands around them, and what it is called."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
import timm
import torch
from torch import Tensor, nn

import composer

VIT = {"backbone": "vit_tiny_patch16_224", "input": [3, 32, 48], "vars": {"depth": 1, "num_classes": 10}}
MAP = [8, 4, 6]


def names(spec: dict[str, Any]) -> list[str]:
    return [node.path for node in composer.graph({"input": MAP, **spec}).root.walk()]


def test_what_stands_around_a_mechanism_is_named_after_it() -> None:
    rules = [{"use": "cbam", "after": "mixer"}, {"use": "se", "after": "mlp", "name": "gate"}]
    graph = composer.graph({**VIT, "attention": rules})
    added = [node.name for node in graph.root.walk() if node.rule is not None]
    assert added == [
        *(f"attn_cbam{end}" for end in ("_prefix", "_map", "", "_tokens", "_joined")),
        *(f"out_gate{end}" for end in ("_prefix", "_map", "", "_tokens", "_joined")),
    ]
    # Patches have no token in front before the class token comes.
    graph = composer.graph({**VIT, "attention": [{"use": "se", "after": "stem"}]})
    assert [node.name for node in graph.root.walk() if node.rule is not None] == [
        *("out_se_map", "out_se", "out_se_tokens"),
    ]


def test_no_key_moves_and_the_identity_changes_nothing() -> None:
    plain = composer.build(VIT)
    rule = {"use": "cbam", "after": "branch", "start": "identity"}
    gated = composer.build({**VIT, "attention": [rule]})
    added = gated.state_dict().keys() - plain.state_dict().keys()
    assert plain.state_dict().keys() <= gated.state_dict().keys()
    assert all("_cbam" in key for key in added)
    images = torch.randn(2, 3, 32, 48)
    assert torch.equal(plain.eval()(images), gated.eval()(images))


def test_it_is_exported_pickled_and_copied_as_it_is() -> None:
    model = composer.build({**VIT, "attention": [{"use": "cbam", "after": "mixer"}]}).eval()
    images = torch.randn(2, 3, 32, 48)
    wanted = model(images)
    exported = torch.export.export(model, (images,)).module()
    torch.testing.assert_close(exported(images), wanted)
    assert torch.equal(pickle.loads(pickle.dumps(model))(images), wanted)
    assert torch.equal(copy.deepcopy(model)(images), wanted)


def test_nodes_with_adapters() -> None:
    assert names({"nodes": {"attn": {"op": "mhsa", "num_heads": 2}}}) == ["attn_tokens", "attn", "attn_map"]
    swin = {"last": "channels_last", "attn": {"op": "mhsa", "num_heads": 2}}
    around = ["attn_channels_first", "attn_tokens", "attn", "attn_map", "attn_channels_last"]
    assert names({"nodes": swin}) == ["last", *around]
    tokens = {"tokens": "map_to_tokens", "gate": {"op": "se", "reduction": 2}}
    assert names({"nodes": tokens}) == ["tokens", "gate_map", "gate", "gate_tokens"]
    # As before where the layout is the mechanism's own.
    assert names({"nodes": {"gate": {"op": "se", "reduction": 2}}}) == ["gate"]


def test_tokens_whose_channels_come_first_have_adapters_too() -> None:
    turned = {"turned": {"op": "rearrange", "pattern": "b c h w -> b c (h w)"}}
    around = ["out_channels_last", "out_map", "out", "out_tokens", "out_channels_first"]
    assert names({"nodes": {**turned, "out": {"op": "cbam", "reduction": 2}}}) == ["turned", *around]
    assert names({"nodes": {**turned, "out": "eca"}}) == ["turned", "out_sequence", "out", "out_tokens"]
    x = torch.randn(2, *MAP)

    def built(use: str, **options: int) -> Any:
        return composer.build({"input": MAP, "nodes": {**turned, "out": {"op": use, **options}}}).eval()

    cbam, eca, mhsa = built("cbam", reduction=2), built("eca"), built("mhsa", num_heads=2)
    torch.testing.assert_close(cbam(x), cbam.out(x).flatten(2))
    assert torch.equal(eca(x), eca.out(x.flatten(2)))
    torch.testing.assert_close(mhsa(x), mhsa.out(x.flatten(2).mT).mT)


def test_the_name_of_an_adapter_that_is_taken() -> None:
    nodes = {
        "attn_map": "relu",
        "attn": {"op": "mhsa", "num_heads": 2},
        "end": {"op": "add", "from": ["attn_map", "attn"]},
    }
    assert names({"nodes": nodes}) == ["attn_map", "attn_tokens", "attn", "attn_map_2", "end"]


def test_repeats_of_a_mechanism() -> None:
    nodes = {"mix": {"op": "mhsa", "num_heads": 2, "repeat": 2}}
    graph = composer.graph({"input": MAP, "nodes": nodes})
    inner = ["mix.at0_tokens", "mix.0", "mix.at0_map", "mix.at1_tokens", "mix.1", "mix.at1_map"]
    assert [node.path for node in graph.root.walk()] == ["mix", *inner]
    inline = {"mix": {**nodes["mix"], "inline": True, "as": "mix${index}"}, "end": "relu"}
    assert names({"nodes": inline})[-2:] == ["mix1_map", "end"]
    assert composer.build(graph.spec)(torch.zeros(1, *MAP)).shape == (1, *MAP)


def test_copies_and_nodes_that_call_a_module_have_adapters_of_their_own() -> None:
    mix = {"op": "mhsa", "num_heads": 2}
    nodes = {"mix": {**mix, "repeat": 2, "share": True}, "all": {"op": "concat", "from": "mix.*"}}
    graph = composer.graph({"input": MAP, "nodes": nodes})
    assert str(graph.outputs["output"]) == "b×16×4×6"
    assert graph.num_parameters == composer.graph({"input": MAP, "nodes": {"mix": mix}}).num_parameters
    inline = {"mix": {**nodes["mix"], "inline": True, "as": "mix${index}"}, "all": nodes["all"]}
    twice = {"mix": mix, "again": {"share": "mix"}, "all": {"op": "concat", "from": ["mix", "again"]}}
    assert names({"nodes": twice})[3:6] == ["again_tokens", "again", "again_map"]
    models = [composer.build({"input": MAP, "nodes": each}).double() for each in (nodes, inline, twice)]
    x = torch.randn(2, *MAP, generator=torch.Generator().manual_seed(0)).double()
    weights = list(models[0].state_dict().values())
    found = []
    for model in models:
        model.load_state_dict(dict(zip(model.state_dict(), weights, strict=True)))
        found.append(model(x))
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])
    once = found[0][:, :8]
    attn = models[2].mix
    assert torch.allclose(found[0][:, 8:], attn(once.flatten(2).mT).mT.unflatten(2, (4, 6)))


def test_a_node_that_passes_on_has_no_adapters() -> None:
    nodes = {"first": "relu", "attn": {"op": "mhsa", "num_heads": 2, "when": False}, "end": "relu"}
    graph = composer.graph({"input": MAP, "nodes": nodes})
    assert list(graph.root.nodes) == ["first", "attn", "end"]
    assert str(graph.outputs["output"]) == "b×8×4×6"


def test_options_read_what_arrives_and_what_the_mechanism_gets() -> None:
    nodes = {"attn": {"op": "mhsa", "num_heads": "${height // 2}", "head_dim": "${tokens // width}"}}
    graph = composer.graph({"input": MAP, "nodes": nodes})
    arguments = graph.root.nodes["attn"].content.arguments
    assert (arguments["num_heads"], arguments["head_dim"]) == (2, 4)


def test_paths_sites_and_outputs_mean_what_comes_out_of_the_adapters() -> None:
    block = {"nodes": {"attn": {"op": "mhsa", "num_heads": 2, "site": "mixer"}, "norm": "batch_norm"}}
    nodes = {
        "unit": {"block": "unit"},
        "side": {"op": "conv2d", "out_channels": 4, "kernel_size": 1, "from": "unit.attn"},
    }
    spec = {
        "input": MAP,
        "blocks": {"unit": block},
        "nodes": {**nodes, "end": {"op": "concat", "from": ["unit", "side"]}},
    }
    assert str(composer.graph(spec).root.tensor("side")) == "b×4×4×6"
    graph = composer.graph({**spec, "outputs": {"mixed": "unit.attn", "end": "end"}})
    assert str(graph.outputs["mixed"]) == "b×8×4×6"
    rule = {"use": "se", "after": "mixer", "with": {"reduction": "${height // 2}"}}
    inside = composer.graph({**spec, "attention": [rule]}).root.nodes["unit"].content
    assert inside.nodes["norm"].inputs == ("attn_se",)
    assert inside.nodes["attn_se"].content.arguments["reduction"] == 2
    images = torch.randn(2, *MAP)
    model = composer.build({**spec, "outputs": {"mixed": "unit.attn", "end": "end"}}).eval()
    wanted = model.unit.attn(images.flatten(2).mT).mT.unflatten(2, (4, 6))
    assert torch.allclose(model(images)["mixed"], wanted, atol=1e-6)


def test_a_node_that_nothing_uses_is_still_said() -> None:
    nodes = {"idle": {"op": "mhsa", "num_heads": 2}, "end": {"op": "relu", "from": "input"}}
    with pytest.raises(composer.GraphError, match="nothing uses node `idle`"):
        composer.graph({"input": MAP, "nodes": nodes})


def test_a_numbered_chain_of_maps_with_channels_last() -> None:
    block = {"numbered": True, "nodes": {"last": "channels_last", "gate": {"op": "se", "reduction": 2, "site": "gate"}}}
    spec = {"input": MAP, "blocks": {"chain": block}, "nodes": {"chain": {"block": "chain"}}}
    assert names(spec) == ["chain", "chain.0", "chain.1", "chain.2", "chain.3"]
    spec["attention"] = [{"use": "eca", "after": "gate"}]
    assert composer.build({"input": MAP, **spec})(torch.zeros(1, *MAP)).shape == (1, 4, 6, 8)


class Gate(nn.Module):
    """Rescale each channel by a gate computed from its mean."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        return x * (self.scale * x.mean((2, 3))).sigmoid()[:, :, None, None]


def test_prefix_tokens_take_part_where_a_mechanism_says_so() -> None:
    composer.mechanism("test_gate", kind="channel", prefix=True)(Gate)
    spec = {"input": {"shape": [25, 8], "layout": "b n c"}, "nodes": {"gate": "test_gate"}}
    model = composer.build(spec)
    assert [node.name for node in model.graph.root.walk()] == ["gate_map", "gate", "gate_tokens"]
    x = torch.randn(2, 25, 8)
    assert torch.allclose(model(x), x * x.mean(1, keepdim=True).sigmoid())
    # The tokens stand behind it where they stood.
    known = {**spec, "input": {**spec["input"], "grid": [4, 6]}}
    assert composer.graph(known).root.end_of("gate").grid == (4, 6, 1)


def test_only_a_channel_gate_on_maps_can_take_the_prefix_in() -> None:
    with pytest.raises(composer.PluginError, match="rows and columns have no meaning"):
        composer.mechanism("test_gate", kind="spatial", prefix=True)(Gate)
    with pytest.raises(composer.PluginError, match="rows and columns have no meaning"):
        composer.mechanism("test_gate", kind="channel", layout="b n c", prefix=True)(Gate)


class Conv(nn.Module):
    """Add to each patch a sum of its neighbours, a depthwise convolution; other tokens stay as they are."""

    def __init__(self, channels: int, grid_height: int, grid_width: int, prefix_tokens: int) -> None:
        super().__init__()
        self.grid, self.prefix = (grid_height, grid_width), prefix_tokens
        self.conv = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x[:, self.prefix :].mT.unflatten(2, self.grid)).flatten(2).mT
        return torch.cat([x[:, : self.prefix], x[:, self.prefix :] + y], 1)


def test_a_mechanism_on_tokens_is_told_the_grid() -> None:
    composer.mechanism("test_conv", kind="token", layout="b n c")(Conv)
    graph = composer.graph({**VIT, "attention": [{"use": "test_conv", "after": "mlp"}]})
    (place,) = (place for place in graph.places if place.node.op == "test_conv")
    assert place.node.content.arguments == {"channels": 192, "grid_height": 2, "grid_width": 3, "prefix_tokens": 1}
    on_map = composer.graph({"input": MAP, "nodes": {"conv": "test_conv"}})
    assert on_map.root.nodes["conv"].content.arguments["prefix_tokens"] == 0
    with pytest.raises(composer.GraphError, match=r"`test_conv` needs grid_height, which b×25×8 .* has not"):
        composer.graph({"input": {"shape": [25, 8], "layout": "b n c"}, "nodes": {"conv": "test_conv"}})


class Mean(nn.Module):
    """The mean of two maps, the other one smoothed over rows and columns."""

    def forward(self, x: Tensor, other: Tensor) -> Tensor:
        return (x + nn.functional.avg_pool2d(other, 3, 1, 1)) / 2


def smoothed(tokens: Tensor) -> Tensor:
    """b (4 6) c, smoothed as a map."""
    return nn.functional.avg_pool2d(tokens.mT.unflatten(2, (4, 6)), 3, 1, 1).flatten(2).mT


def test_further_tensors_of_a_mechanism_are_adapted_as_the_first() -> None:
    composer.mechanism("test_mean", kind="fusion")(Mean)
    nodes = {"tokens": "map_to_tokens", "unit": {"block": "unit"}}
    unit = {"fc": {"op": "linear", "out_features": 8}, "add": {"op": "add", "from": ["input", "fc"]}}
    spec = {"input": MAP, "blocks": {"unit": {"nodes": unit}}, "nodes": nodes}
    x = torch.randn(2, *MAP)
    tokens = x.flatten(2).mT
    # Both operands of an add.
    model = composer.build({**spec, "attention": [{"use": "test_mean", "replace": "unit.add"}]})
    inner = model.graph.root.nodes["unit"].content
    assert list(inner.nodes) == ["fc", "add_other_map", "add_map", "add", "add_tokens"]
    assert torch.allclose(model(x), (tokens + smoothed(model.unit.fc(tokens))) / 2, atol=1e-6)
    # From another scope.
    rule = {"use": "test_mean", "after": "unit.fc", "from": {"other": "/tokens"}}
    model = composer.build({**spec, "attention": [rule]})
    wanted = tokens + (model.unit.fc(tokens) + smoothed(tokens)) / 2
    assert torch.allclose(model(x), wanted, atol=1e-6)
    # As a node.
    nodes = {"tokens": "map_to_tokens", "fc": {"op": "linear", "out_features": 8}}
    model = composer.build({"input": MAP, "nodes": nodes | {"mean": {"op": "test_mean", "from": ["tokens", "fc"]}}})
    assert list(model.graph.root.nodes)[2:] == ["mean_other_map", "mean_map", "mean", "mean_tokens"]
    assert torch.allclose(model(x), (tokens + smoothed(model.fc(tokens))) / 2, atol=1e-6)
    # With channels last too, and with a prefix only where it passes by.
    swin = {"nodes": {"last": "channels_last", "relu": "relu", "add": {"op": "add", "from": ["last", "relu"]}}}
    spec = {"input": MAP, **swin, "attention": [{"use": "test_mean", "replace": "add"}]}
    assert str(composer.graph(spec).outputs["output"]) == "b×4×6×8"
    with pytest.raises(composer.GraphError, match="prefix tokens would not get what the others get"):
        composer.graph({**VIT, "attention": [{"use": "test_mean", "replace": "blocks.0.add1"}]})
    rule = {"use": "test_mean", "after": "mixer", "from": {"other": "input"}}
    assert composer.build({**VIT, "attention": [rule]})(torch.zeros(1, 3, 32, 48)).shape == (1, 10)


def test_registers_and_a_class_token_as_dinov2_has_them() -> None:
    """timm's ViT with four registers, whose position embeddings are of the patches alone."""
    peer = timm.create_model("vit_tiny_patch16_224", img_size=64, depth=1, reg_tokens=4, no_embed_class=True)
    parameter = {"op": "parameter", "init": "trunc_normal"}
    transformer = {
        "norm1": {"op": "layer_norm", "eps": 1e-6},
        "attn": {"op": "mhsa", "num_heads": 3},
        "add1": {"op": "add", "from": ["input", "attn"]},
        "norm2": {"op": "layer_norm", "eps": 1e-6},
        "mlp": {"block": "mlp"},
        "add2": {"op": "add", "from": ["add1", "mlp"]},
    }
    mlp = {"fc1": {"op": "linear", "out_features": 768}, "act": "gelu", "fc2": {"op": "linear", "out_features": 192}}
    proj = {"op": "conv2d", "out_channels": 192, "kernel_size": 16, "stride": 16, "padding": 0, "bias": True}
    nodes = {
        "patch_embed": {"block": "patch_embed"},
        "pos_embed": {**parameter, "shape": [1, 16, 192]},
        "embed": {"op": "add_positions", "from": ["patch_embed", "pos_embed"]},
        "reg_token": {**parameter, "shape": [1, 4, 192]},
        "registers": {"op": "prepend_token", "tokens": 4, "from": ["reg_token", "embed"]},
        "cls_token": {**parameter, "shape": [1, 1, 192]},
        "tokens": {"op": "prepend_token", "from": ["cls_token", "registers"]},
        "blocks": {"block": "transformer", "repeat": 1},
        "norm": {"op": "layer_norm", "eps": 1e-6},
        "token": "take_token",
        "head": {"op": "linear", "out_features": 1000},
    }
    blocks = {"patch_embed": {"nodes": {"proj": proj, "tokens": "map_to_tokens"}}}
    blocks |= {"transformer": {"nodes": transformer}, "mlp": {"nodes": mlp}}
    ours = composer.build({"input": [3, 64, 64], "blocks": blocks, "nodes": nodes})
    assert ours.graph.root.tensor("norm").grid == (4, 4, 5)
    assert {key: one.shape for key, one in ours.state_dict().items()} == {
        key: one.shape for key, one in peer.state_dict().items()
    }
    ours.load_state_dict(peer.state_dict())
    images = torch.randn(2, 3, 64, 64)
    torch.testing.assert_close(ours.eval()(images), peer.eval()(images))


@pytest.mark.parametrize(
    ("shape", "tokens", "said"),
    [
        ([1, 4, 8], 1, "takes a token of shape 1×1×8 and then the sequence, found 1×4×8"),
        ([1, 4, 8], 1, "or `tokens: 4` here"),
        ([1, 3, 8], 4, "takes 4 tokens of shape 1×4×8"),
        ([4, 8], 4, "found 4×8"),
    ],
)
def test_tokens_that_do_not_fit(shape: list[int], tokens: int, said: str) -> None:
    nodes = {
        "token": {"op": "parameter", "shape": shape},
        "all": {"op": "prepend_token", "from": ["token", "input"], "tokens": tokens},
    }
    with pytest.raises(composer.GraphError) as caught:
        composer.graph({"input": {"shape": [24, 8], "layout": "b n c"}, "nodes": nodes})
    assert said in caught.value.diagnostics[0].message
