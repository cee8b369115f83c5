"""A name follows from the network and the place alone: from no condition, no other place and no other rule."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import composer
from composer import registry
from composer.dag.composition import Composition
from composer.dag.infer import Inference
from composer.dag.rules.places import Place
from composer.dag.scope import Scope
from composer.dag.tensor import TensorSpec
from composer.spec import zoo
from composer.spec.load import load_spec

# A mechanism for each layout of a place: they keep what they get, so that every place can have one.
KEEP = {"b c h w": "keep_map", "b h w c": "keep_last", "b n c": "keep_tokens", "b c": "keep_vector"}
QUICK = ["resnet18", "vgg11_bn", "vit_tiny_patch16_224", "mobilenetv2_050"]
SLOW = [name for name in zoo.backbones() if name not in QUICK]
INFERENCE = Inference()


@pytest.fixture(autouse=True, scope="module")
def keepers() -> Iterator[None]:
    for layout, name in KEEP.items():

        class Keep(nn.Module):
            """Give what comes in."""

            def __init__(self, channels: int) -> None:
                super().__init__()
                self.bias = nn.Parameter(torch.zeros(channels))

            def forward(self, x: Tensor) -> Tensor:
                return x.clone()

        composer.mechanism(name, kind="channel", layout=layout)(Keep)
    yield
    for name in KEEP.values():
        del registry._state.entries[name]


def composed(backbone: str, *rules: dict[str, Any]) -> Composition:
    return Composition.of(load_spec({"backbone": backbone, "attention": list(rules)}), inference=INFERENCE)


def mechanisms(graph: Composition) -> list[str]:
    """Paths of what the rules of these tests put in."""
    return sorted(node.path for node, _ in graph.operations if node.op in KEEP.values())


def layout_at(place: Place, position: str) -> str | None:
    """The layout of what a rule gets here; None where nothing can be put."""
    tensor = place.node.output if position == "after" else place.input
    kept = isinstance(place.node.output, TensorSpec) and (position != "beside" or tensor == place.node.output)
    return tensor.layout if kept and isinstance(tensor, TensorSpec) and tensor.layout in KEEP else None


def glob(place: Place) -> str:
    """A selector of this place alone, that is no site even if its path is that of one."""
    return f"{place.node.path[:-1]}[{place.node.path[-1]}]"


def wanted(place: Place, position: str, name: str) -> str:
    """The path of a mechanism, in the words of the issue."""
    around, host = place.scope.path, place.node
    branches = [node for node in place.scope.nodes.values() if "branch" in node.sites]
    if branches == [host] and position != "before":
        path = f"{around}.{name}"
    elif isinstance(host.content, Scope):
        around = host.path
        path = f"{around}.{'in' if position == 'before' else 'out'}_{name}"
    else:
        own = f"at{host.name}" if host.name.isdigit() else host.name
        path = f"{around}.{'pre_' if position == 'before' else ''}{own}_{name}"
    path = path.lstrip(".")
    taken = {node.path for node in next(iter(_scopes(place, around))).nodes.values()}
    return next(one for one in (path, *(f"{path}_{count}" for count in range(2, 99))) if one not in taken)


def _scopes(place: Place, path: str) -> Iterator[Scope]:
    yield place.scope if path == place.scope.path else place.node.content  # type: ignore[misc]


@pytest.mark.parametrize("backbone", [*QUICK, *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)])
@pytest.mark.parametrize("position", ["after", "before", "beside"])
def test_every_place_of_the_zoo(backbone: str, position: str) -> None:
    plain = composed(backbone)
    rules: dict[str, list[Place]] = {}
    for place in plain.places:
        if layout := layout_at(place, position):
            rules.setdefault(layout, []).append(place)
    whole = [
        {"use": KEEP[layout], position: [glob(place) for place in places], "name": "gate"}
        for layout, places in rules.items()
    ]
    expected = [wanted(place, position, "gate") for places in rules.values() for place in places]
    assert len(set(expected)) == len(expected)
    assert mechanisms(composed(backbone, *whole)) == sorted(expected)
    layout, place = random.Random(backbone).choice([(one, place) for one, places in rules.items() for place in places])
    alone = {"use": KEEP[layout], position: glob(place), "name": "gate"}
    assert mechanisms(composed(backbone, alone)) == [wanted(place, position, "gate")]


STAGES = [None, "stage >= 3", "not stage == 2", "stage in [1, 4]"]
BLOCKS = [*STAGES, "block == 2", "block % 2 == 0", "stage in [1, 4] and block == 1"]
# Selector -> the conditions that may leave some of its places.
CONDITIONS = {
    **dict.fromkeys(("branch", "block", "spatial_conv", "**.conv1", "**.bn1"), BLOCKS),
    **dict.fromkeys(("stage", "shortcut"), STAGES),
    **dict.fromkeys(("act1", "global_pool"), STAGES[:1]),
}


def a_rule(rng: random.Random, use: str, **more: Any) -> dict[str, Any]:
    selector = rng.choice(list(CONDITIONS))
    where = rng.choice(CONDITIONS[selector])
    position = "before" if selector == "global_pool" else rng.choice(["after", "after", "before"])
    return {"use": use, position: selector, **({"where": where} if where else {}), **more}


def put_in(graph: Composition, number: int) -> set[str]:
    """Paths of all that a rule put in: mechanisms, γ, sums."""
    return {path for path, rule in graph.inserted.items() if rule == number}


@pytest.mark.parametrize("seed", [*range(4), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(4, 40))])
def test_other_rules_and_their_order_change_no_name(seed: int) -> None:
    rng = random.Random(seed)
    backbone = rng.choice(["resnet18", "resnet34"])
    starts = [{}, {"start": "identity"}]
    rules = [a_rule(rng, "keep_map", name=f"rule{number}", **rng.choice(starts)) for number in range(4)]
    if rng.random() < 0.5:
        rules.append({"use": "condconv", "replace": "**.conv2", "where": "stage == 4"})
    alone = [put_in(composed(backbone, rule), 0) for rule in rules]
    order = rng.sample(range(len(rules)), len(rules))
    together = composed(backbone, *(rules[number] for number in order))
    for index, number in enumerate(order):
        assert put_in(together, index) == alone[number], rules[number]


@pytest.mark.parametrize("seed", [*range(3), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(3, 40))])
def test_what_is_stacked_at_one_place_counts_in_the_order_of_the_rules(seed: int) -> None:
    rng = random.Random(seed)
    rules = [a_rule(rng, "keep_map", name="gate") for _ in range(5)]
    alone = [mechanisms(composed("resnet18", rule)) for rule in rules]
    together = composed("resnet18", *rules)
    counts: Counter[str] = Counter()
    for number, paths in enumerate(alone):
        counts.update(paths)
        expected = {path if counts[path] == 1 else f"{path}_{counts[path]}" for path in paths}
        assert set(together.mechanisms[number]) == expected


def test_what_is_stacked_runs_in_the_order_of_the_rules() -> None:
    rules = [{"use": use, "after": "block"} for use in ("se", "eca", "se")]
    rules += [{"use": use, "before": "block"} for use in ("se", "eca")]
    block = composer.graph({"backbone": "resnet18", "attention": rules}).root.nodes["layer2"].content.nodes["0"].content
    assert list(block.nodes)[:2] == ["in_se", "in_eca"]
    assert list(block.nodes)[-3:] == ["out_se", "out_eca", "out_se_2"]
    assert [block.nodes[name].inputs for name in ("in_se", "in_eca", "conv1", "downsample")] == [
        ("input",),
        ("in_se",),
        ("in_eca",),
        ("in_eca",),
    ]
    assert [block.nodes[name].inputs for name in ("out_se", "out_eca", "out_se_2")] == [
        ("act2",),
        ("out_se",),
        ("out_eca",),
    ]
    assert dict(block.outputs) == {"output": "out_se_2"}


NODES = {
    "conv": {"op": "conv2d", "out_channels": 8, "kernel_size": 3},
    "conv_se": {"op": "conv2d", "out_channels": 8, "kernel_size": 3},
    "pre_conv": "relu",
    "out": "relu",
}


def names(*rules: dict[str, Any], nodes: Any = NODES, **more: Any) -> list[str]:
    return list(composer.graph({"input": [8, 6, 6], "nodes": nodes, "attention": list(rules), **more}).inserted)


def test_a_name_that_the_backbone_has_is_taken_also_where_a_rule_takes_its_node_out() -> None:
    gate = {"use": "se", "after": "conv"}
    assert names(gate) == ["conv_se_2"]
    assert names({"remove": "conv_se"}, gate) == ["conv_se_2"]
    assert names(gate, gate) == ["conv_se_2", "conv_se_3"]
    # Another node is called as the beginning of a node would be: each has its own.
    assert names({"use": "se", "before": "conv"}, {"use": "se", "after": "pre_conv"}) == [
        "pre_conv_2_se",
        "pre_conv_se",
    ]
    block = {"block": {"nodes": NODES}}
    inside = names(
        {"use": "se", "after": "one"},
        {"use": "se", "after": "one.out"},
        nodes={"one": {"block": "block"}},
        blocks=block,
    )
    assert sorted(inside) == ["one.out_2_se", "one.out_se"]


def test_methods_of_a_module_are_taken() -> None:
    class Half(nn.Module):
        """Give half of what comes in."""

        def forward(self, x: Tensor) -> Tensor:
            return x / 2

    composer.mechanism("half", kind="channel")(Half)
    try:
        rule = {"use": "half", "after": "branch", "where": "stage == 1"}
        found = composer.build({"backbone": "resnet18", "attention": [rule]})
        assert list(found.graph.inserted) == ["layer1.0.half_2", "layer1.1.half_2"]
        assert found.half().layer1[0].conv1.weight.dtype == torch.float16
    finally:
        del registry._state.entries["half"]


def test_what_adapts_a_replacement_is_named_after_the_host() -> None:
    rule = {"use": "mhsa", "replace": "features.8", "with": {"num_heads": 8}}
    graph = composer.graph({"backbone": "vgg11", "attention": [rule]})
    assert list(graph.inserted) == ["features.at8_tokens", "features.8", "features.at8_map"]


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_rules_that_would_give_two_places_one_name_are_told(order: tuple[int, int]) -> None:
    rules = [{"use": "se", "after": "layer1.0.conv2"}, {"use": "se", "after": "layer1.0.bn2", "name": "conv2_se"}]
    with pytest.raises(composer.GraphError) as caught:
        composer.graph({"backbone": "resnet18", "attention": [rules[index] for index in order]})
    (problem,) = caught.value.diagnostics
    assert problem.code == "name"
    assert "`layer1.0.conv2_se` is what another rule puts after" in str(problem)


def test_a_scope_that_holds_what_a_rule_put_at_its_end_is_not_taken_out_unsaid() -> None:
    rules = [{"use": "se", "after": "layer1.1"}, {"remove": "layer1.1"}]
    with pytest.raises(composer.GraphError, match=r"`layer1\.1` holds `out_se`, which a rule before this one put"):
        composer.graph({"backbone": "resnet18", "attention": rules})
    assert not composer.graph({"backbone": "resnet18", "attention": [rules[1]]}).inserted


def test_a_second_input_has_names_of_its_own() -> None:
    rules = [
        {"use": "se", "before": "**.add", "input": number, "where": "stage == 2 and block == 1"} for number in (0, 1)
    ]
    found = composer.graph({"backbone": "resnet18", "attention": rules})
    assert list(found.inserted) == ["layer2.0.pre_add_se", "layer2.0.pre2_add_se"]
    block = {"inputs": ["a", "b"], "nodes": {"both": {"op": "add", "from": ["a", "b"]}, "act": "relu"}}
    nodes = {"act": "relu", "two": {"block": "two", "from": ["act", "input"]}}
    gates = [{"use": "se", "before": "two", "input": name} for name in ("b", "a", "b")]
    graph = composer.graph({"input": [8, 6, 6], "blocks": {"two": block}, "nodes": nodes, "attention": gates})
    inside = graph.root.nodes["two"].content.nodes
    assert list(inside) == ["in_se", "in2_se", "in2_se_2", "both", "act"]
    assert inside["both"].inputs == ("in_se", "in2_se_2")


def gated(where: str | None) -> Any:
    rule = {"use": "se", "after": "block", **({"where": where} if where else {})}
    model = composer.build({"backbone": "resnet18", "attention": [rule]}, seed=1 if where == "block == 2" else 2)
    for module in model.modules():
        if isinstance(module, nn.Linear | nn.Conv2d) and where == "block == 2":
            nn.init.normal_(module.weight)
    return model


def test_weights_of_one_block_are_not_those_of_another(tmp_path: Any) -> None:
    """They were: with a gate behind each second block, its file filled the gates of the first blocks elsewhere."""
    second, file = gated("block == 2"), tmp_path / "second.pt"
    torch.save(second.state_dict(), file)
    every = gated(None)
    composer.load_weights(every, file, require="any")
    for name, value in second.state_dict().items():
        assert torch.equal(every.state_dict()[name], value)
    first = gated("block == 1")
    with pytest.raises(composer.WeightsError, match=r"tensors that the network has not: `layer1\.1\.out_se"):
        composer.load_weights(first, file)
    report = composer.load_weights(first, file, require="any")
    assert {name.rpartition(".fc")[0] for name in report.inserted} == {
        f"layer{stage}.0.out_se" for stage in range(1, 5)
    }
    assert not any(".out_se." in name for name in report.loaded)


@pytest.mark.parametrize(
    ("use", "host", "path"),
    [
        ("condconv", "layer1.0.conv2", "layer1.0.conv2_condconv"),
        ("condconv", "layer1.*.conv1", "layer1.1.conv1_condconv"),
        ("mhsa", "layer1.1.bn2", "layer1.1.mhsa"),
        ("mhsa", "layer1.1", "layer1.1.out_mhsa"),
    ],
)
def test_what_starts_as_identity_in_place_of_a_host_is_named_as_behind_it(use: str, host: str, path: str) -> None:
    rule = {"use": use, "replace": host, "start": "identity"}
    plain, model = (composer.build({"backbone": "resnet18", "attention": rules}).eval() for rules in ([], [rule]))
    assert path in model.graph.added[0].places
    assert {f"{path}_gamma", f"{path}_start"} < model.graph.inserted.keys()
    x = torch.randn(1, 3, 32, 32)
    assert torch.equal(model(x), plain(x))
    behind = {"use": "se", "after": host}
    stacked = composer.build({"backbone": "resnet18", "attention": [rule, behind]})
    gate = path.replace(use, "se")
    assert stacked.graph.added[1].places[-1] == gate
    around, _, name = gate.rpartition(".")
    scope = next(node.content for node in stacked.graph.root.walk() if node.path == around)
    assert isinstance(scope, Scope)
    assert scope.nodes[name].inputs == (f"{path.rpartition('.')[2]}_start",)
