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
