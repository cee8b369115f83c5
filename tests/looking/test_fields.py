"""Receptive fields with attention and without: the same where attention does nothing, larger where it looks far."""

from __future__ import annotations

import pytest
import torch

import composer
from composer.looking.fields import field_of, fields_section, replaced
from composer.looking.receptive import share_of_area
from composer.looking.sites import class_node, last_map

PLAIN = {
    "input": [3, 32, 32],
    "nodes": {
        "conv": {"op": "conv2d", "out_channels": 8, "kernel_size": 3},
        "relu": "relu",
        "pool": "global_avg_pool",
        "fc": {"op": "linear", "out_features": 2},
    },
}


def build(*rules):
    return composer.build({**PLAIN, "attention": list(rules)})


def test_attention_that_does_nothing_yet_leaves_the_field_alone():
    found = field_of(build({"use": "cbam", "after": "relu", "start": "identity", "with": {"reduction": 4}}), "relu")
    assert torch.equal(found.whole, found.plain)


def test_a_gate_of_the_whole_map_reaches_every_pixel():
    model = build({"use": "se_var1", "after": "relu"})
    found = field_of(model, "relu")
    assert share_of_area(found.plain, 0) == 9 / 32**2
    assert share_of_area(found.whole, 0) > 0.9
    section = fields_section(model, ["relu"])
    assert [row[:2] for row in section.table.rows] == [("relu", "with attention"), ("relu", "plain")]
    assert "these are random" not in section.text
    assert "without attention" in section.findings[0].what


def test_a_network_without_rules_and_a_node_that_attention_put_in_stand_alone():
    assert field_of(build(), "relu").plain is None
    assert field_of(build({"use": "se_var1", "after": "relu"}), "relu_se_var1").plain is None


def test_what_attention_replaced_is_said_to_be_random():
    model = build({"use": "condconv", "replace": "conv", "with": {"num_experts": 2}})
    assert replaced(model.graph) == ["conv"]
    assert "but for what attention replaced, 1 of its operations" in fields_section(model, ["relu"]).text
    assert replaced(build({"use": "se_var1", "after": "relu"}).graph) == []


@pytest.mark.parametrize(
    ("name", "last", "speaks"),
    [
        ("resnet18", "layer4", "layer4"),
        ("vit_tiny_patch16_224", "blocks.11", "blocks.11.norm1"),
        # The class token alone looks there, at all tokens.
        ("cait_xxs24_224", "blocks_token_only.1", "blocks_token_only.1.norm1"),
    ],
)
def test_the_node_that_speaks_for_a_class(name, last, speaks):
    graph = composer.graph(name)
    assert (last_map(graph), class_node(graph)) == (last, speaks)
