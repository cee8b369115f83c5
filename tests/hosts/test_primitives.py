"""What mechanisms compute, primitive by primitive: nothing is lost, and nothing is there twice."""

from __future__ import annotations

import pytest

import composer
from composer import registry
from composer.dag.composition import operations_in
from composer.dag.macs import macs_of
from composer.errors import ComposerError
from composer.hosts.primitives import primitives

PLACES = [
    {"backbone": "resnet18", "attention": [{"after": "block"}]},
    {"backbone": "resnet18", "attention": [{"replace": "spatial_conv"}]},
    {"backbone": "vit_tiny_patch16_224", "attention": [{"replace": "mixer"}]},
    {"backbone": "resnet18", "attention": [{"after": "layer3"}]},
]
OF_TWO = {"aff", "iaff", "attention_gate"}
# A tensor of higher levels, at half the size.
WITH_HIGHER = {"gau", "mfab"}
# One position bias for all examples is computed per call, which the MACs of an example leave out.
PER_CALL = {"window_v2": 2 * (169 * 512 * 2 // 2)}


def operation_of(name):
    """A mechanism where it fits, with what it takes there."""
    for graph in graphs(name):
        return next((node, taken) for node, taken in graph.operations if node.op == name)
    raise AssertionError(f"{name} fits nowhere")


def graphs(name):
    if name in OF_TWO | WITH_HIGHER:
        stride = 2 if name in WITH_HIGHER else 1
        other = {"op": "conv2d", "from": "input", "out_channels": 64, "kernel_size": 3, "stride": stride}
        nodes = {"other": other, "gate": {"op": name, "from": ["input", "other"]}}
        yield composer.graph({"input": [64, 28, 28], "nodes": nodes})
        return
    for place in PLACES:
        (rule,) = place["attention"]
        try:
            yield composer.graph({**place, "attention": [{"use": name, **rule}]})
        except ComposerError:
            continue


@pytest.mark.parametrize("name", [entry.name for entry in registry.mechanisms()])
def test_the_steps_of_a_mechanism_are_the_mechanism(name):
    node, taken = operation_of(name)
    steps = primitives(node.content, taken)
    found = list(operations_in(steps))
    assert len(found) > 1
    assert sum(step.content.num_parameters for step, _ in found) == node.content.num_parameters
    macs = [macs_of(step.content, inputs) for step, inputs in found]
    assert sum(macs) - PER_CALL.get(name, 0) == macs_of(node.content, taken)
    (reference,) = steps.outputs.values()
    assert steps.tensor(reference).shape == node.tensor.shape


def test_a_layer_that_is_one_step_has_none():
    graph = composer.graph("resnet18")
    assert [primitives(node.content, taken) for node, taken in graph.operations] == [None] * len(graph.operations)


def test_the_attention_of_another_library_has_steps():
    graph = composer.graph({"backbone": {"timm": "vit_tiny_patch16_224"}})
    node, taken = next((node, taken) for node, taken in graph.operations if node.op == "Attention")
    assert [step.op for step, _ in operations_in(primitives(node.content, taken))].count(
        "scaled_dot_product_attention"
    ) == 1
