"""What counts as a place, the numbers that places know, and rules at every other place or at several sites."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import composer

DEPTHS = (3, 4, 6, 3)


def inserted(backbone: str, *rules: dict[str, Any]) -> list[str]:
    return list(composer.graph({"backbone": backbone, "attention": list(rules)}).inserted)


def fails(rule: dict[str, Any], backbone: str = "resnet18") -> str:
    with pytest.raises(composer.ComposerError) as caught:
        inserted(backbone, rule)
    return str(caught.value)


def test_every_shortcut_is_a_place_also_one_that_only_passes_its_input_on() -> None:
    shortcuts = composer.graph("resnet50").places.select("shortcut")
    assert len(shortcuts) == sum(DEPTHS)
    # A block has a projection only where the shape changes: the first of each stage.
    assert [place.block for place in shortcuts if not place.passes] == [1, 1, 1, 1]
    assert {place.node.op for place in shortcuts if place.passes} == {"pass"}


def test_blocks_and_stages_are_counted_without_what_is_left_out() -> None:
    shortcuts = composer.graph("resnet50").places.select("shortcut")
    assert [(place.stage, place.block) for place in shortcuts] == [
        (stage, block) for stage, depth in enumerate(DEPTHS, 1) for block in range(1, depth + 1)
    ]
    assert [place.block_index for place in shortcuts] == list(range(1, 17))
    assert [place.num_blocks for place in shortcuts] == [depth for depth in DEPTHS for _ in range(depth)]
    depths = [place.depth for place in shortcuts]
    assert depths == sorted(depths)
    assert depths[-1] < 1


def test_without_stages_all_blocks_are_counted() -> None:
    blocks = composer.graph("vit_tiny_patch16_224").places.select("block")
    assert [(place.stage, place.block, place.block_index, place.num_blocks) for place in blocks] == [
        (None, number, number, 12) for number in range(1, 13)
    ]
    stem = composer.graph("resnet18").places.select("stem")[0]
    assert (stem.block_index, stem.num_blocks) == (None, None)


def test_what_is_left_out_and_leads_nowhere_is_no_place() -> None:
    """A ViT that is not distilled has no second classifier, which the mean of both would take."""
    assert composer.graph("vit_tiny_patch16_224").places.select("head").paths == ("head",)
    assert len(composer.graph("deit_tiny_distilled_patch16_224").places.select("head")) == 2


def test_a_gate_on_the_identity_shortcut_computes_what_it_says() -> None:
    model = composer.build(
        {"backbone": "resnet18", "attention": [{"use": "se", "after": "shortcut", "where": "op == 'pass'"}]}
    ).eval()
    path = next(path for path in model.graph.inserted if path.startswith("layer1.1."))
    block, gate = model.get_submodule("layer1.1"), model.get_submodule(path)
    torch.nn.init.uniform_(block.bn2.weight)
    x = torch.randn(2, 64, 8, 8)
    with torch.no_grad():
        branch = block.bn2(block.conv2(block.bn1(block.conv1(x)).relu()))
        assert torch.equal(block(x), (branch + gate(x)).relu())


def test_what_keeps_the_shape_replaces_an_identity_shortcut_under_its_name() -> None:
    rule = {"use": "cbam", "replace": "shortcut", "where": "op == 'pass'", "expect": 5}
    found = composer.graph({"backbone": "resnet18", "attention": [rule]})
    nodes = found.root.nodes["layer1"].content.nodes["0"].content.nodes
    assert (nodes["downsample"].op, nodes["downsample"].inputs, nodes["downsample"].sites) == (
        "cbam",
        ("input",),
        ("shortcut",),
    )
    assert nodes["add"].inputs == ("bn2", "downsample")
    assert "`layer1.0.downsample` is `pass`" in fails({"use": "condconv", "replace": "layer1.0.downsample"})


def test_what_is_left_out_cannot_be_removed() -> None:
    assert "only passes its input on, so there is nothing to remove" in fails({"remove": "layer1.0.downsample"})
    # Among several it is passed over: what remains are the three projections, which change the shape.
    assert "layer2.0.downsample" in fails({"remove": "shortcut"})


def test_every_second_of_the_places_that_where_leaves() -> None:
    rule = {"use": "nl", "after": "block", "where": "stage in [2, 3]"}
    by_hand = inserted("resnet50", {**rule, "where": "stage in [2, 3] and block % 2 == 0"})
    assert len(by_hand) == 5
    assert inserted("resnet50", {**rule, "every": 2, "expect": 5}) == by_hand
    assert inserted("resnet50", {**rule, "every": 1}) == inserted("resnet50", rule)
    assert "the rule matches 2 places, not 5" in fails({**rule, "every": 2, "expect": 5})
    assert "the rule has 4 places, so there is no place number 5" in fails({**rule, "every": 5})


@pytest.mark.parametrize("every", [0, -1, 1.5, True, "2"])
def test_every_is_a_whole_number_from_one_on(every: Any) -> None:
    assert "`every` is" in fails({"use": "se", "after": "block", "every": every})


def test_conditions_and_options_know_the_numbers_of_blocks() -> None:
    last = inserted("resnet50", {"use": "se", "after": "branch", "where": "block == num_blocks", "expect": 4})
    assert [path.rpartition(".")[0] for path in last] == ["layer1.2", "layer2.3", "layer3.5", "layer4.2"]
    rule = {"use": "se", "after": "branch", "with": {"hidden": "${block_index + num_blocks}"}}
    found = composer.graph({"backbone": "resnet18", "attention": [rule]})
    hidden = [node.content.arguments["hidden"] for node, _ in found.operations if node.op == "se"]
    assert hidden == [index + 2 for index in range(1, 9)]


def test_a_rule_at_several_sites_takes_each_place_once_in_running_order() -> None:
    both = inserted("resnet18", {"use": "se", "after": ["shortcut", "branch", "layer1.*.bn2"], "expect": 16})
    assert len(both) == 16
    stages = [path.split(".")[0] for path in both]
    assert stages == sorted(stages)
    alone = {"use": "se", "after": ["branch"]}
    assert inserted("resnet18", alone) == inserted("resnet18", {"use": "se", "after": "branch"})
    found = composer.graph({"backbone": "resnet18", "attention": [{"remove": ["act1", "layer1.0.act1"]}]})
    assert "act1" not in found.root.nodes


def test_each_selector_that_selects_nothing_is_an_error_of_its_own() -> None:
    text = fails({"use": "se", "after": ["branch", "brunch", "**.nothing"]})
    assert ("`brunch`" in text, "`**.nothing`" in text, "`branch` is" in text) == (True, True, False)
    assert "attention.0.after.1" in text
    assert "`after` is empty" in fails({"use": "se", "after": []})


def test_the_depth_of_a_place_does_not_depend_on_other_rules() -> None:
    """Nor do the number of blocks and the numbers of a block."""
    rule = {"use": "se", "after": "branch", "where": "depth < 0.57"}
    alone = composer.compose({"backbone": "resnet18", "attention": [rule]}).added[0].places
    for other in (
        {"use": "eca", "after": "layer4.**"},
        {"use": "eca", "after": "layer1.*.conv*"},
        {"use": "cbam", "before": "layer1"},
        {"use": "condconv", "replace": "spatial_conv", "where": "stage == 1"},
    ):
        for rules in ([other, rule], [rule, other]):
            found = composer.compose({"backbone": "resnet18", "attention": rules})
            assert found.added[rules.index(rule)].places == alone


def test_blocks_of_the_whole_network_are_counted() -> None:
    rule = {"use": "drop_path", "after": "branch", "with": {"p": "${0.2 * (block_index - 1) / (all_blocks - 1)}"}}
    found = composer.compose({"backbone": "resnet18", "attention": [rule]})
    rates = [node.content.arguments["p"] for node, _ in found.operations if node.op == "drop_path"]
    assert rates == pytest.approx([0.2 * index / 7 for index in range(8)])
