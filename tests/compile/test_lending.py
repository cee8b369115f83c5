"""Mechanisms that a rule makes one for a stage or for all places, or a child of which it does."""

from __future__ import annotations

import copy
import io
import pickle
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

import composer
from composer.errors import ComposerError
from composer.weights.names import shapes_of
from composer.weights.save import save_weights

SPEC: dict[str, Any] = {
    "input": [3, 16, 16],
    "blocks": {
        "unit": {
            "site": "block",
            "args": {"planes": None, "stride": 1},
            "nodes": {
                "conv": {"op": "conv2d", "out_channels": "$planes", "kernel_size": 3, "stride": "$stride"},
                "bn": {"op": "batch_norm", "site": "branch"},
                "shortcut": {
                    "op": "conv2d",
                    "from": "input",
                    "out_channels": "$planes",
                    "kernel_size": 1,
                    "stride": "$stride",
                },
                "add": {"op": "add", "from": ["bn", "shortcut"]},
                "act": "relu",
            },
        }
    },
    "nodes": {
        "layer1": {"block": "unit", "repeat": 2, "site": "stage", "args": {"planes": 8}},
        "layer2": {
            "block": "unit",
            "repeat": 2,
            "site": "stage",
            "args": {"planes": 16, "stride": "${2 if index == 0 else 1}"},
        },
        "pool": "global_avg_pool",
        "fc": {"op": "linear", "out_features": 2},
    },
}
PER_STAGE = {"use": "cbam", "after": "branch", "share": {"channel": "stage"}, "with": {"reduction": 4}}


def build(*rules: Any, **more: Any) -> composer.ComposedModule:
    model = composer.build({**SPEC, **more, "attention": list(rules)})
    assert isinstance(model, composer.ComposedModule)
    return model


def fails(*rules: Any, **more: Any) -> str:
    with pytest.raises(ComposerError) as caught:
        composer.compose({**SPEC, **more, "attention": list(rules)})
    (problem,) = caught.value.diagnostics
    assert problem.code == "share"
    return "\n".join([problem.message, problem.label, *problem.help])


class Perceptron(nn.Module):
    """The two layers of CBAM's channel attention, under composer's names."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Conv2d(channels, channels // 4, 1), nn.Conv2d(channels // 4, channels, 1)

    def forward(self, z: Tensor) -> Tensor:
        result: Tensor = self.fc2(self.fc1(z).relu())
        return result


class Spatial(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 1, 7, padding=3)


class Gate(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.spatial = Spatial()

    def forward(self, x: Tensor, perceptron: nn.Module) -> Tensor:
        x = x * (perceptron(x.mean((2, 3), keepdim=True)) + perceptron(x.amax((2, 3), keepdim=True))).sigmoid()
        both = torch.cat([x.mean(1, keepdim=True), x.amax(1, keepdim=True)], 1)
        result: Tensor = x * self.spatial.conv(both).sigmoid()
        return result


class Block(nn.Module):
    def __init__(self, before: int, planes: int, stride: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(before, planes, 3, stride, 1, bias=False)
        self.bn = nn.BatchNorm2d(planes)
        self.cbam = Gate()
        self.shortcut = nn.Conv2d(before, planes, 1, stride, bias=False)

    def forward(self, x: Tensor, perceptron: nn.Module) -> Tensor:
        return (self.cbam(self.bn(self.conv(x)), perceptron) + self.shortcut(x)).relu()


class Plain(nn.Module):
    """The network with a perceptron per stage, as one would write it: the stage hands it to its blocks."""

    def __init__(self) -> None:
        super().__init__()
        for name, before, planes, stride in (("layer1", 3, 8, 1), ("layer2", 8, 16, 2)):
            layer = nn.Module()
            layer.add_module("0", Block(before, planes, stride))
            layer.add_module("1", Block(planes, planes, 1))
            layer.shared_cbam_channel = Perceptron(planes)
            self.add_module(name, layer)
        self.fc = nn.Linear(16, 2)

    def forward(self, x: Tensor) -> Tensor:
        for layer in (self.layer1, self.layer2):
            for block in (getattr(layer, "0"), getattr(layer, "1")):
                x = block(x, layer.shared_cbam_channel)
        result: Tensor = self.fc(x.mean((2, 3)))
        return result


@pytest.fixture
def x() -> Tensor:
    torch.manual_seed(0)
    return torch.randn(2, 3, 16, 16)


def test_cbam_with_a_perceptron_per_stage_is_a_plain_module(x: Tensor) -> None:
    ours, plain = build(PER_STAGE), Plain()
    plain.load_state_dict(ours.state_dict())
    given, expected = ours(x), plain(x)
    assert torch.allclose(given, expected, atol=1e-6)
    for result in (given, expected):
        result.square().sum().backward()
    gradients = dict(plain.named_parameters())
    for name, parameter in ours.named_parameters():
        assert torch.allclose(parameter.grad, gradients[name].grad, rtol=1e-4, atol=1e-6), name  # type: ignore[arg-type]
    count = sum(one.numel() for one in plain.parameters())
    assert ours.graph.num_parameters == count
    apart = composer.compose({**SPEC, "attention": [{**PER_STAGE, "share": None}]})
    perceptrons = [sum(one.numel() for one in Perceptron(planes).parameters()) for planes in (8, 16)]
    assert apart.num_parameters - count == sum(perceptrons)
    # Each place runs it all the same.
    assert apart.num_macs == ours.graph.num_macs


def test_all_places_of_a_stage_are_one(x: Tensor) -> None:
    model = build({"use": "se", "after": "block", "share": "stage"}).eval()
    layer: Any = model.layer1
    assert layer[0].out_se.module is layer[1].out_se.module is layer.shared_out_se
    seen: list[Tensor] = []
    layer.shared_out_se.register_forward_hook(lambda module, inputs, output: seen.append(output))
    model(x)
    assert len(seen) == 2
    # The stage still counts its blocks alone.
    assert len(layer) == 2
    assert layer[-1] is layer[1]
    names = [name for name in model.state_dict() if "se" in name]
    parts = ("fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias")
    assert names == [f"layer{stage}.shared_out_se.{one}" for stage in (1, 2) for one in parts]
    assert list(model.state_dict()) == list(shapes_of(model.graph))
    assert {name: tuple(one.shape) for name, one in model.state_dict().items()} == shapes_of(model.graph)


def test_all_places_of_a_rule_are_one(x: Tensor) -> None:
    model = build({"use": "eca", "after": "branch", "share": "all", "with": {"kernel_size": 3}}).eval()
    assert [name for name in model.state_dict() if "eca" in name] == ["shared_eca.conv.weight"]
    assert model.graph.mechanisms == {0: tuple(f"layer{stage}.{block}.eca" for stage in (1, 2) for block in (0, 1))}
    with composer.record(model) as values:
        model(x)
    assert tuple(values) == model.graph.mechanisms[0]


def test_the_owner_follows_from_the_place_and_never_from_where() -> None:
    whole = build(PER_STAGE).state_dict()
    for where in ("block == 2", "stage == 2", "stage == 2 and block == 1"):
        part = build({**PER_STAGE, "where": where}).state_dict()
        assert part.keys() <= whole.keys()
        # The same place has the same first weights, too.
        assert all(torch.equal(one, whole[name]) for name, one in part.items())
    with_more = build({"use": "se", "after": "**.shortcut", "share": "stage"}, PER_STAGE).state_dict()
    assert whole.keys() < with_more.keys()
    # Only what is stacked at the same place counts.
    twice = build(PER_STAGE, PER_STAGE).state_dict()
    more = {name.replace("channel", "channel_2") for name in whole if "shared" in name}
    assert {name for name in twice if "shared" in name and name not in whole} == more


def test_a_stage_without_a_module_is_held_by_the_scope_of_its_nodes(x: Tensor) -> None:
    spec = {"backbone": "vgg11", "vars": {"num_classes": 2}}
    rule = {"use": "se", "after": "**.*", "where": "op == 'conv2d' and stage >= 4", "share": "stage"}
    model = composer.build({**spec, "attention": [rule]}, img_size=64)
    owners = sorted({name.rpartition(".fc")[0] for name in model.state_dict() if "shared" in name})
    assert [one.rpartition(".")[0] for one in owners] == ["features", "features"]
    assert len(model.features) == len(composer.build(spec, img_size=64).features)  # type: ignore[arg-type]
    model(torch.randn(2, 3, 64, 64)).sum().backward()


def test_copies_and_pickles_share_among_themselves(x: Tensor, tmp_path: Any) -> None:
    ours = build(PER_STAGE, {"use": "se", "after": "block", "share": "all", "where": "stage == 1"}).eval()
    expected = ours(x)
    file = io.BytesIO()
    torch.save(ours, file)
    file.seek(0)
    for other in (copy.deepcopy(ours), pickle.loads(pickle.dumps(ours)), torch.load(file, weights_only=False)):
        assert torch.equal(other(x), expected)
        own = other.layer1.shared_cbam_channel
        assert all(other.layer1[block].cbam.channel.module is own for block in (0, 1))
        assert own is not ours.layer1.shared_cbam_channel  # type: ignore[union-attr]
        assert other.layer1[1].out_se.module is other.shared_out_se
        with torch.no_grad():
            own.fc2.weight.zero_()
        assert not torch.equal(other(x), expected)
    assert torch.equal(ours(x), expected)
    save_weights(ours, tmp_path / "shared.safetensors")
    assert sorted(load_file(tmp_path / "shared.safetensors")) == sorted(ours.state_dict())
    fresh = build(PER_STAGE, {"use": "se", "after": "block", "share": "all", "where": "stage == 1"}).eval()
    with torch.no_grad():
        [one.zero_() for one in fresh.parameters()]
    report = composer.load_weights(fresh, tmp_path / "shared.safetensors")
    assert not report.missing
    assert torch.equal(fresh(x), expected)


def test_what_is_put_in_the_owners_place_is_called_everywhere(x: Tensor) -> None:
    model = build({"use": "se", "after": "block", "share": "stage"}).eval()
    model.layer1.shared_out_se = nn.Identity()
    model.layer2.shared_out_se = nn.Identity()
    plain = build().eval()
    plain.load_state_dict(model.state_dict())
    assert torch.equal(model(x), plain(x))
    assert model.graph.edits == (
        "layer1.shared_out_se is Identity(): it was SqueezeExcitation",
        "layer2.shared_out_se is Identity(): it was SqueezeExcitation",
    )
    model.layer1[0].out_se = nn.Identity()  # type: ignore[index,union-attr]
    assert "layer1.0.out_se is Identity(): it was shared with `layer1.shared_out_se`" in model.graph.edits


def test_moves_dtypes_gradients_and_modes_reach_it_once(x: Tensor) -> None:
    model = build(PER_STAGE).double()
    assert model.layer1[0].cbam.channel.fc1.weight.dtype == torch.float64  # type: ignore[index,union-attr]
    assert model(x.double()).dtype == torch.float64
    assert len(list(model.parameters())) == len(set(model.parameters())) == len(model.state_dict()) - 4 * 3
    model.requires_grad_(False)
    assert not any(one.requires_grad for one in model.layer1.shared_cbam_channel.parameters())  # type: ignore[union-attr]


@pytest.mark.parametrize("strict", [False, True])
def test_it_is_exported(x: Tensor, strict: bool) -> None:
    model = build(PER_STAGE, {"use": "se", "after": "block", "share": "stage"}).eval()
    exported = torch.export.export(model, (x,), strict=strict)
    assert sorted(exported.state_dict) == sorted(model.state_dict())
    assert torch.allclose(exported.module()(x), model(x), atol=1e-6)


@pytest.mark.filterwarnings("ignore:.torch.jit:FutureWarning", "ignore:.torch.jit:DeprecationWarning")
def test_it_is_traced_checkpointed_and_viewed(x: Tensor) -> None:
    model = build(PER_STAGE, {"use": "se", "after": "block", "share": "stage"}).eval()
    expected = model(x)
    assert torch.allclose(torch.jit.trace(model, x)(x), expected, atol=1e-6)
    view = composer.features(model, {"one": "layer1.0.out_se", "other": "layer2.1.cbam"})
    assert torch.equal(view(x)["one"], model.layer1[0](x))  # type: ignore[index,operator]
    model.set_grad_checkpointing()
    model.train()
    model(x).sum().backward()
    assert all(one.grad is not None for one in model.parameters())


GATE = {
    "args": {"kernel_size": 3},
    "nodes": {
        "logit": {"op": "conv2d", "out_channels": 1, "kernel_size": "$kernel_size", "bias": True},
        "gate": "sigmoid",
        "mul": {"op": "mul", "from": ["input", "gate"], "broadcast": True},
    },
}


@pytest.mark.parametrize(
    ("share", "owner"), [("stage", "shared_gate.logit"), ({"logit": "stage"}, "shared_gate_logit")]
)
def test_a_block_as_a_mechanism(x: Tensor, share: Any, owner: str) -> None:
    blocks = {**SPEC["blocks"], "gate": GATE}
    model = build({"use": "gate", "after": "branch", "share": share}, blocks=blocks).eval()
    names = [name for name in model.state_dict() if "gate" in name]
    assert names == [f"layer{stage}.{owner}.{one}" for stage in (1, 2) for one in ("weight", "bias")]
    assert list(model.state_dict()) == list(shapes_of(model.graph))
    conv: Any = model.get_submodule(f"layer2.{owner}")

    def plain(block: Any, y: Tensor) -> Tensor:
        branch = block.bn(block.conv(y))
        result: Tensor = (branch * conv(branch).sigmoid() + block.shortcut(y)).relu()
        return result

    y = model.layer1(x)  # type: ignore[operator]
    expected = plain(model.layer2[1], plain(model.layer2[0], y))  # type: ignore[index]
    assert torch.allclose(model.layer2(y), expected, atol=1e-6)  # type: ignore[operator]
    assert torch.equal(pickle.loads(pickle.dumps(model))(x), model(x))
    assert model.graph.edits == ()
    other = {"use": "gate", "after": "branch", "share": "all", "with": {"kernel_size": "${2 * stage + 1}"}}
    assert "`kernel_size` is 5 at `layer2.0.gate`, 3 at `layer1.0.gate`" in fails(other, blocks=blocks)
    if share == "stage":
        with pytest.raises(ComposerError, match=r"calls the module of `layer1\.shared_gate`, which passes nothing out"):
            composer.features(model, "layer1.0.gate.logit")
    wrong = {"use": "gate", "after": "branch", "share": {"conv": "stage"}}
    assert fails(wrong, blocks=blocks) == "`gate` has no child `conv`\n`logit`, `gate`, `mul`"


def test_inside_a_block_that_is_called_again(x: Tensor) -> None:
    nodes = {
        "tower": {"block": "tower"},
        "again": {"share": "tower", "from": "input"},
        "sum": {"op": "add", "from": ["tower", "again"]},
    }
    inner = {name: node for name, node in SPEC["nodes"].items() if name != "fc"}
    spec = {**SPEC, "blocks": {**SPEC["blocks"], "tower": {"nodes": inner}}, "nodes": nodes}
    for extent, owner in (("stage", "tower.layer1.shared_se"), ("all", "shared_se")):
        rule = {"use": "eca" if extent == "all" else "se", "after": "branch", "share": extent, "name": "se"}
        rule |= {"with": {"kernel_size": 3}} if extent == "all" else {}
        model = composer.build({**spec, "attention": [rule]}).eval()
        assert any(name.startswith(owner) for name in model.state_dict())
        assert torch.allclose(model(x), 2 * model.tower(x))  # type: ignore[operator]


def test_mistakes() -> None:
    assert fails({**PER_STAGE, "share": {"mlp": "stage"}}) == "`cbam` has no child `mlp`\n`channel`, `spatial`"
    other = fails({"use": "se", "after": "branch", "share": "all"})
    assert "the mechanism of `layer1.0.se` takes b×8×16×16, found b×16×8×8 at `layer2.0.se`" in other
    assert "`channel` of `layer2.0.cbam` has fc1.weight 4×16×1×1, that of `layer1.0.cbam` 2×8×1×1" in fails(
        {**PER_STAGE, "share": {"channel": "all"}}
    )
    options = {"use": "eca", "after": "branch", "share": "all", "with": {"kernel_size": "${3 if stage == 1 else 5}"}}
    assert "`kernel_size` is 5 at `layer2.0.eca`, 3 at `layer1.0.eca`" in fails(options)
    assert "is in no stage" in fails({"use": "se", "before": "pool", "share": "stage"})
    function = {"use": "channels_last", "replace": "**.act", "share": "stage"}
    assert fails(function) == "`channels_last` has no module that could be shared\na mechanism with weights"
    nested = {**PER_STAGE, "share": {"channel": "stage", "channel.fc1": "all"}}
    with pytest.raises(ComposerError, match="inside of what is shared already"):
        composer.compose({**SPEC, "attention": [nested]})
    with pytest.raises(ComposerError, match="`remove` takes a node out, so `share` has nothing to say"):
        composer.compose({**SPEC, "attention": [{"remove": "branch", "share": "all"}]})


def test_it_is_told(tmp_path: Any) -> None:
    graph = composer.compose({**SPEC, "attention": [PER_STAGE]})
    text = str(graph.summary())
    assert "cbam, channel shares layer1.shared_cbam_channel" in text
    flat = graph.networkx()
    assert flat.nodes["layer1.1.cbam"]["shares"] == {"channel": "layer1.shared_cbam_channel"}
    assert sum(data["parameters"] for _, data in flat.nodes(data=True)) == graph.num_parameters
    apart = composer.compose({**SPEC, "attention": [{**PER_STAGE, "share": None}]})
    found = {one.path: one for one in composer.diff(apart, graph).changes}
    assert found["layer1.0.cbam"].details["shares"] == (None, "layer1.shared_cbam_channel")
    assert found["layer1.shared_cbam_channel"].kind == "added"
    difference = sum(one.parameters[1] - one.parameters[0] for one in found.values())
    assert difference == graph.num_parameters - apart.num_parameters


def test_a_stage_that_is_replaced_holds_nothing(x: Tensor) -> None:
    stage = {"op": "conv2d", "out_channels": 3, "kernel_size": 3, "repeat": 2, "site": "stage"}
    rule = {"use": "eca", "replace": "stage", "share": "stage", "with": {"kernel_size": 3}}
    model = composer.build({"input": [3, 16, 16], "nodes": {"one": stage, "act": "relu"}, "attention": [rule]})
    assert list(model.state_dict()) == ["shared_one_eca.conv.weight"]
    assert torch.equal(model(x), model.shared_one_eca(x).relu())  # type: ignore[operator]
