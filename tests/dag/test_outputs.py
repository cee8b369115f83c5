"""Outputs by path, inline repeats, and networks without what their outputs do not need."""

from __future__ import annotations

import pickle

import pytest
import torch

import composer
from composer.artefacts import lock

STAGED = {
    "input": [3, 16, 16],
    "vars": {"depths": [2, 0, 1]},
    "blocks": {
        "unit": {
            "site": "block",
            "nodes": {"conv": {"op": "conv2d", "out_channels": 4, "kernel_size": 3}, "act": "relu"},
        },
        "stage": {
            "site": "stage",
            "args": {"depth": None},
            "nodes": {"units": {"block": "unit", "repeat": "$depth", "inline": True}},
        },
    },
    "nodes": {
        "stages": {
            "block": "stage",
            "repeat": "${len(depths)}",
            "as": "layer${index + 1}",
            "inline": True,
            "args": {"depth": "${depths[index]}"},
        },
        "last": "sigmoid",
    },
}


def message(spec) -> str:
    with pytest.raises(composer.ComposerError) as caught:
        composer.graph(spec)
    return str(caught.value)


def test_inline_children_are_nodes_of_the_scope_itself() -> None:
    spec = {**STAGED, "vars": {"depths": [2, 1]}}
    model = composer.build(spec)
    assert list(dict(model.named_children())) == ["layer1", "layer2", "last"]
    assert [name for name, _ in model.named_parameters()] == [
        "layer1.0.conv.weight",
        "layer1.1.conv.weight",
        "layer2.0.conv.weight",
    ]
    assert isinstance(model.layer1, torch.nn.Sequential)
    assert composer.graph(spec).places[0].node.sites == ("stage",)


def test_no_inline_copies_pass_the_input_on() -> None:
    spec = {"input": [3, 8, 8], "blocks": {"unit": {"nodes": {"act": "relu"}}}}
    nodes = {"units": {"block": "unit", "repeat": 0, "inline": True}, "act": "relu"}
    assert list(composer.graph({**spec, "nodes": nodes}).root.nodes) == ["act"]


def test_inline_children_need_names_of_their_own() -> None:
    nodes = {**STAGED["nodes"], "layer1": "relu"}
    assert "two nodes are called `layer1`" in message({**STAGED, "vars": {"depths": [1]}, "nodes": nodes})


@pytest.mark.parametrize(
    ("node", "said"),
    [
        ({"op": "relu", "inline": True}, "`inline` is for the children of a `repeat`"),
        ({"op": "relu", "repeat": 2, "inline": True, "site": "stem"}, "an `inline` repeat is no place of its own"),
    ],
)
def test_inline_where_it_means_nothing(node, said) -> None:
    assert said in message({"input": [3, 8, 8], "nodes": {"act": node}})


PATHS = {"whole": "layer1", "within": "layer2.1.bn1", "end": "layer2.0", "gate": "layer3.0.bn2"}


def test_a_path_gives_what_its_node_gives_in_the_whole_network() -> None:
    rules = [{"use": "se", "after": "branch"}, {"use": "bam", "after": "stage", "where": "not last"}]
    whole = composer.build({"backbone": "resnet18", "attention": rules}).eval()
    part = composer.build({"backbone": "resnet18", "attention": rules, "outputs": PATHS}).eval()
    # What rules put behind a node belongs to it.
    nodes = {"whole": "layer1.out_bam", "within": "layer2.1.bn1", "end": "layer2.0", "gate": "layer3.0.se"}
    seen: dict[str, torch.Tensor] = {}
    for name, path in nodes.items():
        whole.get_submodule(path).register_forward_hook(lambda _, x, y, name=name: seen.update({name: y.clone()}))
    x = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        whole(x)
        found = part(x)
    assert list(found) == list(PATHS)
    assert all(torch.equal(found[name], seen[name]) for name in PATHS)
    with torch.no_grad():
        again = pickle.loads(pickle.dumps(part))(x)
    assert all(torch.equal(found[name], again[name]) for name in PATHS)


def test_what_no_output_needs_is_left_out() -> None:
    graph = composer.graph({"backbone": "resnet18", "outputs": {"end": "layer2.0.act1"}})
    assert list(graph.root.nodes)[-1] == "layer2"
    assert [node.path for node, _ in graph.operations][-1] == "layer2.0.act1"
    model = composer.build(graph.spec)
    assert not any(name.startswith(("layer2.1", "layer2.0.conv2", "layer3", "fc")) for name in model.state_dict())
    assert set(model.state_dict()) < set(composer.build("resnet18").state_dict())


def test_one_output_is_a_tensor_and_the_count_of_attention_is_of_what_is_left() -> None:
    spec = {"backbone": "resnet18", "outputs": "layer2", "attention": [{"use": "se", "after": "branch"}]}
    graph, x = composer.graph(spec), torch.randn(1, 3, 32, 32)
    found = composer.build(spec).eval()(x)
    assert found.shape == (1, 128, 4, 4)
    named = composer.build({**spec, "outputs": {"c3": "layer2"}}).eval()(x)
    assert list(named) == ["c3"]
    assert torch.equal(named["c3"], found)
    (added,) = graph.added
    assert added.parameters == graph.num_parameters - graph.plain.num_parameters
    assert len(added.places) == 4


def test_a_lock_builds_the_same_part() -> None:
    spec = {"backbone": "resnet18", "outputs": PATHS, "attention": [{"use": "eca", "after": "branch"}]}
    model = composer.build(spec).eval()
    again = composer.build(lock(model.graph, 0)).eval()
    again.load_state_dict(model.state_dict())
    x = torch.randn(1, 3, 32, 32)
    with torch.no_grad():
        assert all(torch.equal(a, b) for a, b in zip(model(x).values(), again(x).values(), strict=True))


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("layer5", "there is no node `layer5`"),
        ("layer2.7", "no `7` in `layer2`"),
        ("layer2.0.conv1.weight", "nothing is inside `layer2.0.conv1`"),
        ("layer1.0.bn1", "a rule takes `layer1.0.bn1` out"),
    ],
)
def test_paths_that_lead_nowhere(path, said) -> None:
    rules = [{"use": "sk", "replace": "spatial_conv"}]
    assert said in message({"backbone": "resnet18", "outputs": {"wanted": path}, "attention": rules})


@pytest.mark.parametrize(
    ("outputs", "names", "gives_dict"),
    [
        ({}, ["output"], False),
        ({"outputs": "act"}, ["output"], False),
        ({"outputs": {"one": "act"}}, ["one"], True),
        ({"outputs": {"output": "conv", "two": "act"}}, ["output", "two"], True),
    ],
)
def test_a_path_gives_the_tensor_and_names_a_dict_however_many(outputs, names, gives_dict) -> None:
    nodes = {"conv": {"op": "conv2d", "out_channels": 4, "kernel_size": 1}, "act": "relu"}
    graph = composer.graph({"input": [3, 8, 8], "nodes": nodes, **outputs})
    for one in (graph, composer.graph(graph.spec.to_mapping())):
        assert (list(one.outputs), one.root.gives_dict) == (names, gives_dict)


def test_outputs_over_a_backbone_say_themselves_what_they_give() -> None:
    for outputs, gives_dict in (("layer2", False), ({"c3": "layer2"}, True), (None, False)):
        graph = composer.graph({"backbone": "resnet18", **({"outputs": outputs} if outputs else {})})
        assert graph.root.gives_dict == gives_dict
    with pytest.raises(composer.ComposerError) as caught:
        composer.graph({"backbone": "resnet18", "outputs": "layr2"})
    assert caught.value.diagnostics[0].path == "outputs"


def test_an_output_may_be_what_a_rule_puts_in() -> None:
    spec = {"backbone": "resnet18", "attention": [{"use": "se", "after": "block"}, {"use": "se", "after": "conv1"}]}
    graph = composer.graph({**spec, "outputs": {"gates": "layer1.0.out_se", "first": "conv1_se"}})
    assert [tensor.without_batch for tensor in graph.outputs.values()] == [(64, 56, 56), (64, 112, 112)]
    assert "out_se" in message({**spec, "outputs": {"gates": "layer1.0.out_sse"}})


def test_an_output_may_be_the_end_of_a_block() -> None:
    model = composer.build("resnet18").eval()
    found = composer.features(model, {"a": "layer1.1.act2", "b": "layer1.0.act1", "c": "layer1"})
    x = torch.randn(1, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(found(x)["a"], found(x)["c"])


def test_outputs_as_maps() -> None:
    vit = {"backbone": "vit_tiny_patch16_224", "input": [3, 64, 96], "vars": {"depth": 2}}
    outputs = {"tokens": "blocks.0", "whole": "norm", "patches": "patch_embed", "map": "patch_embed.proj", "of": "head"}
    found = composer.graph({**vit, "outputs": outputs, "maps": True})
    assert {name: str(tensor) for name, tensor in found.outputs.items()} == {
        **dict.fromkeys(("tokens", "whole", "patches", "map"), "b×192×4×6"),
        "of": "b×1000",
    }
    plain = composer.graph({**vit, "outputs": outputs})
    assert str(plain.outputs["tokens"]) == "b×25×192"
    # The file that says it need not be the one that names the outputs.
    swin = {"backbone": "swin_tiny_patch4_window7_224", "outputs": {"c2": "layers.0"}}
    assert str(composer.graph(swin).outputs["c2"]) == "b×56×56×96"
    maps = composer.graph({**swin, "maps": True})
    assert str(maps.outputs["c2"]) == "b×96×56×56"
    assert composer.graph(lock(maps, 0)).outputs == maps.outputs
    tail = {"input": {"shape": [8, 8, 4], "layout": "b h w c"}, "nodes": {"norm": "layer_norm"}, "maps": True}
    assert str(composer.graph(tail).outputs["output"]) == "b×4×8×8"


@pytest.mark.parametrize("name", ["c3", "end", ""])
def test_a_lock_of_a_part_is_that_part_whatever_its_outputs_are_called(name) -> None:
    rules = [{"use": "sk", "replace": "layer2.0.conv1"}, {"use": "se", "after": "layer4"}]
    graph = composer.graph({"backbone": "resnet18", "outputs": {name: "layer2"}, "attention": rules})
    again = composer.graph(lock(graph, 0))
    assert list(again.outputs) == [name]
    assert [node.path for node in again.root.walk()] == [node.path for node in graph.root.walk()]
    assert again.num_parameters == graph.num_parameters
