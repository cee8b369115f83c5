"""Rules: every position, stacking, names, expectations, replacements and identity starts."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import composer


def graph(*rules: dict[str, Any], backbone: str = "resnet18") -> Any:
    return composer.graph({"backbone": backbone, "attention": list(rules)})


def paths(found: Any) -> list[str]:
    return list(found.inserted)


def fails(*rules: dict[str, Any], backbone: str = "resnet18") -> str:
    with pytest.raises(composer.GraphError) as caught:
        graph(*rules, backbone=backbone)
    return str(caught.value)


def test_after_a_site_takes_the_consumers_over() -> None:
    found = graph({"use": "se", "after": "branch", "expect": 8})
    block = found.root.nodes["layer1"].content.nodes["0"].content
    assert block.nodes["se"].inputs == ("bn2",)
    assert block.nodes["add"].inputs == ("se", "downsample")


def test_two_rules_at_one_place_stack_in_order() -> None:
    found = graph({"use": "se", "after": "branch"}, {"use": "eca", "after": "branch"}, {"use": "se", "after": "branch"})
    nodes = found.root.nodes["layer1"].content.nodes["0"].content.nodes
    assert [nodes[name].inputs for name in ("se", "eca", "se_2", "add")] == [
        ("bn2",),
        ("se",),
        ("eca",),
        ("se_2", "downsample"),
    ]


def test_before_and_beside() -> None:
    found = graph({"use": "se", "before": "layer1.0.conv2"}, {"use": "eca", "beside": "layer1.0.conv2"})
    nodes = found.root.nodes["layer1"].content.nodes["0"].content.nodes
    assert nodes["conv2"].inputs == ("pre_conv2_se",)
    assert nodes["conv2_eca"].inputs == ("pre_conv2_se",)
    assert nodes["conv2_eca_add"].inputs == ("conv2", "conv2_eca")
    assert nodes["bn2"].inputs == ("conv2_eca_add",)


def test_sk_takes_norm_and_activation_with_it() -> None:
    found = graph({"use": "sk", "replace": "spatial_conv", "expect": 16}, backbone="resnext50_32x4d")
    nodes = found.root.nodes["layer2"].content.nodes["0"].content.nodes
    assert "bn2" not in nodes
    assert "act2" not in nodes
    assert nodes["conv2"].op == "sk"
    assert nodes["conv2"].content.arguments["groups"] == 32
    assert nodes["conv2"].content.arguments["stride"] == 2
    assert nodes["conv3"].inputs == ("conv2",)


def test_identity_start_computes_what_the_backbone_did() -> None:
    # Behind a branch that starts at 0, every attention is one.
    resnet = {"backbone": "resnet18", "vars": {"zero_init_last": False}}
    plain = composer.build(resnet).eval()
    x = torch.randn(1, 3, 64, 64)
    for rule in (
        {"use": "cbam", "after": "branch"},
        {"use": "sk", "replace": "spatial_conv"},
        {"use": "mhsa", "after": "stage", "where": "stage > 2"},
        {"use": "eca", "beside": "layer2.1.conv1"},
        {"use": "bam", "before": "global_pool"},
    ):
        changed = composer.build({**resnet, "attention": [{**rule, "start": "identity"}]}).eval()
        assert set(plain.state_dict()) < set(changed.state_dict())
        with torch.no_grad():
            assert torch.equal(plain(x), changed(x)), rule


def test_mhsa_on_a_feature_map_gets_its_adapters() -> None:
    found = composer.build(
        {"backbone": "resnet18", "attention": [{"use": "mhsa", "after": "layer4", "tokens": "pixels"}]}
    ).eval()
    assert found(torch.randn(1, 3, 96, 64)).shape == (1, 1000)


def test_remove_takes_what_keeps_the_shape() -> None:
    assert "act1" not in graph({"remove": "act1"}).root.nodes
    assert "only what keeps the shape" in fails({"remove": "layer2.0.conv1"})


def test_where_knows_stage_block_and_last() -> None:
    assert len(paths(graph({"use": "se", "after": "branch", "where": "stage >= 3 and block == 1"}))) == 2
    assert len(paths(graph({"use": "bam", "after": "stage", "where": "not last"}))) == 3
    assert len(paths(graph({"use": "se", "after": "branch", "where": "stage in [1, 4] and channels > 64"}))) == 2


def test_globs_stay_within_a_name_unless_doubled() -> None:
    assert len(paths(graph({"use": "se", "after": "layer[2-3].*.bn2"}))) == 4
    assert len(paths(graph({"use": "se", "after": "**.bn2"}))) == 8
    assert "no place is called" in fails({"use": "se", "after": "*.bn2"})


def test_messages_say_what_to_do() -> None:
    assert "did you mean `cbam`?" in fails({"use": "cbma", "after": "branch"})
    assert "branch (8)" in fails({"use": "se", "after": "brunch"})
    assert "matches 8 places, not 9" in fails({"use": "se", "after": "branch", "expect": 9})
    assert "has no option `reductoin`" in fails({"use": "se", "after": "branch", "with": {"reductoin": 8}})
    assert "stands in for a convolution" in fails({"use": "sk", "replace": "layer1.0.bn1"})
    assert "`mhsa` gives" in fails({"use": "mhsa", "replace": "layer2.0.conv1"})


def test_what_stands_in_for_a_convolution_gives_way_to_its_like() -> None:
    found = graph({"use": "sk", "replace": "spatial_conv", "expect": 16}, backbone="resnest50d")
    nodes = found.root.nodes["layer2"].content.nodes["0"].content.nodes
    assert nodes["conv2"].op == "sk"
    assert {key: nodes["conv2"].content.arguments[key] for key in ("kernel_size", "stride", "groups")} == {
        "kernel_size": 3,
        "stride": 2,
        "groups": 1,
    }
    assert nodes["conv3"].inputs == ("conv2",)
    text = fails({"use": "condconv", "replace": "spatial_conv"}, backbone="resnest50d")
    assert "is `splat`, which brings norm and activation along; `condconv` has none" in text


def test_a_kernel_stands_in_for_attention_between_positions_that_stands_in_for_a_convolution() -> None:
    """That attention has no kernel size to hand on: the kernel's own default counts."""
    found = graph({"use": "condconv", "replace": "spatial_conv", "where": "stage == 4"}, backbone="botnet50")
    nodes = found.root.nodes["layer4"].content.nodes["0"].content.nodes
    host = composer.graph("botnet50").root.nodes["layer4"].content.nodes["0"].content.nodes["conv2"]
    arguments = nodes["conv2"].content.arguments
    assert (host.op, nodes["conv2"].op, arguments["kernel_size"]) == ("bot", "condconv", 3)
    assert [arguments[name] == host.content.arguments[name] for name in ("out_channels", "stride")] == [True, True]
    assert nodes["conv2"].output == host.output


def test_sk_keeps_the_norm_behind_another_that_has_its_own() -> None:
    nodes = {"first": {"op": "splat", "out_channels": 8}, "norm": "batch_norm", "act": "relu", "end": "global_avg_pool"}
    spec = {"input": [8, 9, 9], "nodes": nodes, "attention": [{"use": "sk", "replace": "first"}]}
    assert list(composer.graph(spec).root.nodes) == ["first", "norm", "act", "end"]


@pytest.mark.parametrize("name", ["bot", "sasa", "nl", "mhsa"])
def test_one_token_mixer_instead_of_another(name: str) -> None:
    backbone = "swin_tiny_patch4_window7_224"
    found = graph({"use": name, "replace": "mixer", "expect": 12}, backbone=backbone)
    mixers = [place for place in found.places if "mixer" in place.node.sites]
    assert [place.node.op for place in mixers] == 12 * [name]
    assert [place.node.tensor.channels for place in mixers] == 2 * [96] + 2 * [192] + 6 * [384] + 2 * [768]
    if name != "mhsa":
        text = f"`{name}` works on maps: in place of `blocks.0.attn`, prefix tokens would not get what the others get"
        assert text in fails({"use": name, "replace": "mixer"}, backbone="vit_tiny_patch16_224")
    assert "stands in for a convolution" in fails({"use": "sk", "replace": "mixer"}, backbone=backbone)
