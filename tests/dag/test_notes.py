"""What is said about networks that are fine."""

from __future__ import annotations

import pytest

import composer
from composer.dag.notes import notes


def said(*rules, backbone="resnet50"):
    return notes(composer.graph({"backbone": backbone, "attention": list(rules)}))


def test_nothing_of_a_plain_network():
    assert said() == []
    assert said({"use": "se", "after": "branch"}) == []


def test_a_norm_over_one_pooled_vector():
    rule = {"use": "bam", "after": "stage", "where": "not last"}
    (note,) = said(rule)
    assert note.startswith(
        "training needs batches of at least 2: 3 places such as layer1.out_bam (Expected more than 1 value"
    )
    assert said({**rule, "with": {"norm": "layer"}}) == []


@pytest.mark.parametrize(("use", "position"), [("se", "after"), ("ge_plus", "after"), ("nl", "after")])
def test_a_reduction_larger_than_the_channels(use, position):
    extent = {"extent": 2} if use == "ge_plus" else {}
    (note,) = said({"use": use, position: "stage", "with": {"reduction": 300, **extent}})
    expected = "reduction is larger than the channels, the hidden width its smallest: 1 place such as {} ({})"
    assert note == expected.format(f"layer1.out_{use}", "reduction 300, 256 channels")
    graph = composer.graph(
        {"backbone": "resnet50", "attention": [{"use": "se", "after": "layer1", "with": {"reduction": 300}}]}
    )
    assert graph.num_parameters - graph.plain.num_parameters == 2 * 256 + 1 + 256


def test_a_hidden_width_that_is_written():
    assert said({"use": "se", "after": "branch", "with": {"hidden": 8, "reduction": 10**6}}) == []


def block(**nodes):
    """A spec whose second node is a block of these nodes."""
    blocks = {"unit": {"args": {"more": False}, "nodes": nodes}}
    return {"input": [8, 6, 6], "blocks": blocks, "nodes": {"first": "relu", "unit": {"block": "unit"}}}


CONV = {"op": "conv2d", "out_channels": 8, "kernel_size": 3}


@pytest.mark.parametrize(
    ("extra", "reason"),
    [
        ({"from": "input"}, "`extra` passes `input` on"),
        ({}, "`extra` passes `conv` on"),
    ],
)
def test_a_concat_of_what_a_node_that_is_left_out_takes(extra, reason):
    nodes = {
        "conv": CONV,
        "extra": {**CONV, **extra, "when": "$more"},
        "join": {"op": "concat", "from": ["conv", "extra"]},
    }
    (note,) = notes(composer.graph(block(**nodes)))
    assert note == f"`concat` takes the input of a node that `when` leaves out: 1 place such as unit.join ({reason})"
    nodes["extra"]["when"] = True
    assert notes(composer.graph(block(**nodes))) == []


def test_a_concat_that_is_meant_so():
    """ShuffleNet's units join their input, as it is or pooled, to what they compute."""
    shortcut = {"op": "avg_pool", "kernel_size": 2, "from": "input", "when": "$more", "site": "shortcut"}
    nodes = {"conv": {**CONV, "from": "input"}, "pool": shortcut, "join": {"op": "concat", "from": ["conv", "pool"]}}
    assert notes(composer.graph(block(**nodes))) == []
    assert notes(composer.graph("shufflenet_v2_x0_5")) == []
