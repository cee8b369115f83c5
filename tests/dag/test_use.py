"""Rules that use layers and blocks of the spec, against plain modules with the same weights."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
import timm
import torch
from torch import Tensor, nn

import composer
from composer.dag.composition import Composition

LKA: dict[str, Any] = {
    "nodes": {
        "conv0": {"op": "conv2d", "out_channels": "${input.channels}", "kernel_size": 5, "groups": "${input.channels}"},
        "conv_spatial": {
            **{"op": "conv2d", "out_channels": "${input.channels}", "groups": "${input.channels}"},
            **{"kernel_size": 7, "dilation": 3},
        },
        "conv1": {"op": "conv2d", "out_channels": "${input.channels}", "kernel_size": 1},
        "mul": {"op": "mul", "from": ["input", "conv1"]},
    },
    "outputs": {"output": "mul", "attention": "conv1"},
}
SMALL = {"backbone": "resnet18", "vars": {"num_classes": 5}}


def small(*rules: dict[str, Any], **blocks: dict[str, Any]) -> dict[str, Any]:
    return {**SMALL, **({"blocks": blocks} if blocks else {}), "attention": list(rules)}


class PlainLKA(nn.Module):
    """Large kernel attention as in the code of the paper (Guo et al., Visual Attention Network, 2022)."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.conv0 = nn.Conv2d(dim, dim, 5, padding=2, groups=dim, bias=False)
        self.conv_spatial = nn.Conv2d(dim, dim, 7, stride=1, padding=9, groups=dim, dilation=3, bias=False)
        self.conv1 = nn.Conv2d(dim, dim, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return x.clone() * self.conv1(self.conv_spatial(self.conv0(x)))


def test_a_block_is_inserted_like_a_mechanism_forward_and_gradients():
    model = composer.build(small({"use": "large_kernel", "after": "branch", "expect": 8}, large_kernel=LKA)).train()
    plain: Any = timm.create_model("resnet18", num_classes=5, zero_init_last=False)
    for stage in (plain.layer1, plain.layer2, plain.layer3, plain.layer4):
        for block in stage:
            block.bn2 = nn.Sequential(block.bn2, PlainLKA(block.bn2.num_features))
    renamed = {
        key.replace(".bn2.0.", ".bn2.").replace(".bn2.1.", ".large_kernel."): value
        for key, value in plain.state_dict().items()
    }
    assert "layer1.0.large_kernel.conv0.weight" in renamed
    model.load_state_dict(renamed, strict=True)
    one, other = (torch.randn(4, 3, 64, 64, generator=torch.Generator().manual_seed(0)).requires_grad_() for _ in "12")
    found, expected = model(one), plain.train()(other)
    assert torch.equal(found, expected)
    found.square().sum().backward()
    expected.square().sum().backward()
    assert torch.equal(one.grad, other.grad)
    wanted = {
        name.replace(".bn2.0.", ".bn2.").replace(".bn2.1.", ".large_kernel."): parameter.grad
        for name, parameter in plain.named_parameters()
    }
    assert all(torch.equal(parameter.grad, wanted[name]) for name, parameter in model.named_parameters())


def test_its_output_attention_is_recorded_and_it_is_copied_and_pickled():
    model = composer.build(small({"use": "large_kernel", "after": "branch"}, large_kernel=LKA)).eval()
    x = torch.randn(2, 3, 64, 64)
    with composer.record(model) as values:
        y = model(x)
    assert torch.equal(y, model(x))
    assert list(values) == [f"layer{stage}.{block}.large_kernel" for stage in (1, 2, 3, 4) for block in (0, 1)]
    features = composer.features(model, {"inside": "layer1.0.large_kernel.conv1", "whole": "layer1.0.large_kernel"})(x)
    assert torch.equal(features["inside"], values["layer1.0.large_kernel"])
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert torch.equal(other(x), y)
        with composer.record(other) as again:
            other(x)
        assert torch.equal(again["layer1.0.large_kernel"], values["layer1.0.large_kernel"])
    assert model.graph.edits == ()


def test_a_lock_of_it_builds_the_same_network():
    rules = [{"use": "large_kernel", "after": "branch", "name": "gate"}]
    spec = composer.load({"backbone": "resnet18", "blocks": {"large_kernel": LKA}, "attention": rules})
    one, other = composer.build(spec), composer.build(spec.to_mapping())
    assert "layer1.0.gate.conv0.weight" in one.state_dict()
    assert one.state_dict().keys() == other.state_dict().keys()
    assert all(torch.equal(value, other.state_dict()[key]) for key, value in one.state_dict().items())


def test_later_rules_reach_into_it_and_counts_name_the_rules():
    graph = composer.compose(
        small(
            {"use": "large_kernel", "after": "branch", "where": "stage == 1"},
            {"use": "se", "after": "**.large_kernel.conv1", "expect": 2},
            large_kernel=LKA,
        )
    )
    assert graph.mechanisms == {
        0: ("layer1.0.large_kernel", "layer1.1.large_kernel"),
        1: ("layer1.0.large_kernel.conv1_se", "layer1.1.large_kernel.conv1_se"),
    }
    assert graph.inserted["layer1.0.large_kernel.conv0"] == 0
    # What `attention` names is now what the second rule put behind it.
    model = composer.build(graph.spec).eval()
    with composer.record(model) as values:
        features = composer.features(model, {"se": "layer1.0.large_kernel.conv1_se"})(torch.randn(1, 3, 64, 64))
        model(torch.zeros(1, 3, 64, 64))
    assert features["se"].shape == values["layer1.0.large_kernel"].shape


def test_start_identity_changes_nothing_and_beside_adds():
    x = torch.randn(2, 3, 64, 64)
    plain = composer.build(SMALL).eval()
    blended = composer.build(
        small({"use": "large_kernel", "after": "branch", "start": "identity"}, large_kernel=LKA)
    ).eval()
    assert torch.equal(plain(x), blended(x))
    beside = composer.build(small({"use": "large_kernel", "beside": "layer1.0.conv1"}, large_kernel=LKA)).eval()
    maps = composer.features(beside, {"host": "layer1.0.conv1", "large_kernel": "layer1.0.conv1_large_kernel"})(x)
    arriving = composer.features(beside, {"x": "maxpool"})(x)["x"]
    both = beside.layer1[0].conv1(arriving) + beside.layer1[0].conv1_large_kernel(arriving)
    assert torch.equal(maps["host"], both)


def test_a_block_in_place_of_a_convolution_takes_its_settings_over():
    separable = {
        "args": {"in_channels": None, "out_channels": None, "kernel_size": None, "stride": 1, "padding": None},
        "nodes": {
            "depthwise": {
                **{"op": "conv2d", "out_channels": "$in_channels", "kernel_size": "$kernel_size"},
                **{"stride": "$stride", "padding": "$padding", "groups": "$in_channels"},
            },
            "pointwise": {"op": "conv2d", "out_channels": "$out_channels", "kernel_size": 1},
        },
    }
    model = composer.build(small({"use": "separable", "replace": "spatial_conv"}, separable=separable))
    depthwise, pointwise = model.get_submodule("layer2.0.conv1")
    assert (depthwise.in_channels, depthwise.stride, depthwise.padding, depthwise.groups) == (64, (2, 2), (1, 1), 64)
    assert pointwise.out_channels == 128
    wider = composer.compose(
        small(
            {"use": "separable", "replace": "spatial_conv", "with": {"kernel_size": 5, "padding": 2}},
            separable=separable,
        )
    )
    assert wider.places.at("layer2.0.conv1.depthwise").node.content.arguments["kernel_size"] == 5


def test_a_block_on_tokens_goes_into_maps_of_either_layout():
    mixer = {
        "layout": "b n c",
        "nodes": {"norm": "layer_norm", "fc": {"op": "linear", "out_features": "${input.channels}"}},
    }
    at_map = composer.build(small({"use": "mixer", "after": "layer4"}, mixer=mixer)).eval()
    x = torch.randn(2, 3, 64, 64)
    features = composer.features(at_map, {"before": "layer4.1", "after": "layer4.out_mixer_map"})(x)
    tokens = features["before"].flatten(2).transpose(1, 2)
    norm, fc = at_map.layer4.out_mixer
    expected = fc(norm(tokens)).transpose(1, 2).unflatten(2, features["before"].shape[2:])
    torch.testing.assert_close(features["after"], expected)
    gate = {"layout": "b c h w", "nodes": {"se": {"op": "se", "hidden": 4}}}
    spec = {
        "backbone": "convnext_tiny",
        "blocks": {"gate": gate},
        "attention": [{"use": "gate", "after": "**.blocks.*.norm"}],
    }
    graph = composer.compose(spec)
    assert graph.places.at("stages.0.blocks.0.norm_gate").input.layout == "b c h w"


def test_layers_with_expressions_of_depth():
    graph = composer.compose(small({"use": "drop_path", "after": "branch", "with": {"p": "${0.2 * depth}"}}))
    found = [graph.places.at(path).node.content.arguments["p"] for path in graph.mechanisms[0]]
    depths = [place.depth for place in graph.plain.places.select("branch")]
    assert found == [0.2 * depth for depth in depths]
    assert found == sorted(found)


def test_every_activation_and_norm_replaced_is_the_network_built_by_hand():
    rules = [
        {"use": "silu", "replace": "**", "where": "op == 'relu'", "expect": 17},
        {"use": "group_norm", "replace": "**", "where": "kind == 'norm'", "with": {"num_groups": 8}, "expect": 20},
    ]
    model = composer.build(small(*rules)).eval()
    plain = timm.create_model(
        "resnet18", num_classes=5, act_layer=nn.SiLU, norm_layer=lambda channels, **_: nn.GroupNorm(8, channels)
    ).eval()
    model.load_state_dict(plain.state_dict(), strict=True)
    x = torch.randn(2, 3, 64, 64)
    assert torch.equal(model(x), plain(x))


def test_a_convolution_is_replaced_by_another_with_its_settings():
    model = composer.build(
        {
            "backbone": "resnet50",
            "attention": [{"use": "scaled_std_conv2d", "replace": "**", "where": "kind == 'conv'"}],
        }
    )
    conv = model.layer2[0].conv2
    assert type(conv).__name__ == "ScaledStandardisedConv2d"
    assert (conv.stride, conv.padding, conv.out_channels) == ((2, 2), (1, 1), 128)
    pooled = composer.build(small({"use": "avg_pool", "replace": "maxpool"}))
    assert (pooled.maxpool.kernel_size, pooled.maxpool.stride, pooled.maxpool.padding) == (3, 2, 1)


def test_a_block_of_several_tensors_takes_them_by_its_input_names():
    fuse = {
        "inputs": ["x", "skip"],
        "nodes": {"gate": {"op": "sigmoid", "from": "skip"}, "mul": {"op": "mul", "from": ["x", "gate"]}},
    }
    rule = {"use": "fuse", "after": "branch", "from": {"skip": "./downsample"}, "where": "stage == 1"}
    model = composer.build(small(rule, fuse=fuse)).eval()
    assert isinstance(model.graph, Composition)
    plain = composer.build(SMALL).eval()
    x = torch.randn(2, 3, 64, 64)
    at = plain.maxpool(plain.act1(plain.bn1(plain.conv1(x))))
    block = plain.layer1[0]
    branch = block.bn2(block.conv2(block.act1(block.bn1(block.conv1(at)))))
    expected = (branch * at.sigmoid() + at).relu()
    assert torch.equal(composer.features(model, {"y": "layer1.0"})(x)["y"], expected)


@pytest.mark.parametrize("use", ["dropout", "layer_scale_2d", "identity", "softmax", "roll"])
def test_any_layer_that_keeps_the_shape_can_be_inserted(use):
    options = {"roll": {"shifts": [1, 1], "dims": [2, 3]}, "softmax": {"dim": 1}}.get(use, {})
    graph = composer.compose(small({"use": use, "after": "branch", "with": options}))
    assert len(graph.mechanisms[0]) == 8


def test_what_it_attends_to_is_looked_at():
    gate = {
        "nodes": {"pool": {"op": "global_avg_pool", "keepdim": True}, "gate": "sigmoid"},
        "outputs": {"output": "mul", "attention": "gate"},
    }
    gate["nodes"]["mul"] = {"op": "mul", "from": ["input", "gate"], "broadcast": True}
    look = composer.look(
        composer.build(small({"use": "gate", "after": "branch"}, gate=gate)), torch.randn(1, 3, 224, 224)
    )
    assert any(name.startswith("gate-gates") for name in look.figures())
