"""Rules whose mechanism takes several tensors: fusions, gates that look elsewhere, tensors across scopes."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision
from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock

import composer
from composer import registry

PLACEMENTS = {
    "standard": {"after": "branch"},
    "pre": {"before": "**.conv1", "where": "block > 0"},
    "post": {"after": "block"},
    "identity": {"after": "shortcut"},
}
EXAMPLES = Path(__file__).parents[2] / "examples"
SKIPS = {"backbone": "resnet18", "attention": [{"use": "fuse", "replace": "**.add"}]}


class Fuse(nn.Module):
    """AFF with batch norms left out, so that a batch of one can train: Dai et al., WACV 2021, eq. 2-4."""

    def __init__(self, channels: int, *, reduction: int = 4) -> None:
        super().__init__()
        hidden = channels // reduction
        parts = [nn.Conv2d(channels, hidden, 1), nn.ReLU(), nn.Conv2d(hidden, channels, 1)]
        self.local_att = nn.Sequential(*parts)
        self.global_att = nn.Sequential(*copy.deepcopy(parts))

    def attention(self, x: Tensor, other: Tensor) -> Tensor:
        both = x + other
        return (self.local_att(both) + self.global_att(both.mean((2, 3), keepdim=True))).sigmoid()

    def forward(self, x: Tensor, other: Tensor) -> Tensor:
        share = self.attention(x, other)
        return 2 * x * share + 2 * other * (1 - share)


class Elsewhere(nn.Module):
    """Gate each channel by what another tensor says."""

    def __init__(self, channels: int, guide_channels: int) -> None:
        super().__init__()
        self.fc = nn.Linear(guide_channels, channels)

    def forward(self, x: Tensor, guide: Tensor) -> Tensor:
        return x * self.fc(guide.mean((2, 3))).sigmoid()[:, :, None, None]


@pytest.fixture(autouse=True)
def plugins() -> Iterator[None]:
    composer.mechanism("fuse", kind="fusion")(Fuse)
    composer.mechanism("elsewhere", kind="channel")(Elsewhere)
    yield
    for name in ("fuse", "elsewhere"):
        del registry._state.entries[name]


def build(**rule: Any) -> Any:
    return composer.build({"backbone": "resnet18", "attention": [rule]}, num_classes=10)


def fails(**rule: Any) -> str:
    with pytest.raises(composer.ComposerError) as caught:
        composer.graph({"backbone": "resnet18", "attention": [rule]})
    return str(caught.value)


def agree(ours: Any, theirs: nn.Module, size: int = 64) -> None:
    """The same outputs, and gradients of the input and of every parameter, in training mode."""
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(2, 3, size, size)
    found, expected = x.clone().requires_grad_(), x.clone().requires_grad_()
    ours.train()(found).square().sum().backward()
    theirs.train()(expected).square().sum().backward()
    assert torch.equal(found.grad, expected.grad)
    wanted = dict(theirs.named_parameters())
    for name, parameter in ours.named_parameters():
        assert torch.equal(parameter.grad, wanted[name].grad), name


class FusingBlock(BasicBlock):
    def forward(self, x: Tensor) -> Tensor:
        identity = x if self.downsample is None else self.downsample(x)
        out = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        return self.relu(self.add(out, identity))


def test_a_fusion_in_place_of_every_residual_add_is_one_rule() -> None:
    ours = composer.build(SKIPS, num_classes=10)
    theirs = torchvision.models.ResNet(FusingBlock, [2, 2, 2, 2], num_classes=10)
    for stage in (theirs.layer1, theirs.layer2, theirs.layer3, theirs.layer4):
        for block in stage:
            block.add = Fuse(block.bn2.num_features)
    agree(ours, theirs)


class Context(nn.Module):
    def __init__(self, channels: int, inner: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(channels, inner, 1), nn.BatchNorm2d(inner)
        self.conv2, self.bn2 = nn.Conv2d(inner, channels, 1), nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.bn2(self.conv2(self.bn1(self.conv1(x)).relu()))


class Mix(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.local_att, self.global_att = Context(channels, channels // 4), nn.Module()
        self.global_att.context = Context(channels, channels // 4)

    def forward(self, x: Tensor, other: Tensor, seen: Tensor) -> Tensor:
        pooled = self.global_att.context(seen.mean((2, 3), keepdim=True))
        share = (self.local_att(seen) + pooled).sigmoid()
        return x * share + other * (1 - share)


class AFF(Mix):
    """Dai et al., WACV 2021, eq. 4, with the factor 2 of the authors' code."""

    def forward(self, x: Tensor, other: Tensor) -> Tensor:
        return 2 * super().forward(x, other, x + other)


class IAFF(nn.Module):
    """Dai et al., WACV 2021, eq. 5."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first, self.second = Mix(channels), Mix(channels)

    def forward(self, x: Tensor, other: Tensor) -> Tensor:
        return self.second(x, other, self.first(x, other, x + other))


@pytest.mark.parametrize(("name", "plain"), [("aff", AFF), ("iaff", IAFF)])
def test_a_fusion_written_as_a_block_takes_the_place_of_every_residual_add(name: str, plain: type[nn.Module]) -> None:
    ours = composer.build(EXAMPLES / f"{name}.yaml", num_classes=10)
    theirs = torchvision.models.ResNet(FusingBlock, [2, 2, 2, 2], num_classes=10)
    for stage in (theirs.layer1, theirs.layer2, theirs.layer3, theirs.layer4):
        for block in stage:
            block.add = plain(block.bn2.num_features)
    theirs.load_state_dict(ours.state_dict())
    ours, theirs = ours.double().train(), theirs.double().train()
    x = torch.randn(4, 3, 64, 64, dtype=torch.float64)
    found, expected = x.clone().requires_grad_(), x.clone().requires_grad_()
    y, wanted = ours(found), theirs(expected)
    torch.testing.assert_close(y, wanted)
    y.square().sum().backward()
    wanted.square().sum().backward()
    torch.testing.assert_close(found.grad, expected.grad, rtol=1e-6, atol=1e-8)
    with composer.record(ours) as values:
        ours(x)
    assert len(values) == 8


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_the_four_placements_of_senet_are_one_rule_each(placement: str) -> None:
    ours = composer.build({"backbone": "resnet18", "attention": [{"use": "se", **PLACEMENTS[placement], "expect": 8}]})
    gates = [ours.get_submodule(path) for path in ours.graph.added[0].places]
    theirs = torchvision.models.resnet18().eval()
    theirs.load_state_dict(ours.state_dict(), strict=False)
    x = torch.randn(2, 3, 64, 64)
    y = theirs.maxpool(theirs.relu(theirs.bn1(theirs.conv1(x))))
    for block, gate in zip([*theirs.layer1, *theirs.layer2, *theirs.layer3, *theirs.layer4], gates, strict=True):
        shortcut = y if block.downsample is None else block.downsample(y)
        shortcut = gate(shortcut) if placement == "identity" else shortcut
        y = gate(y) if placement == "pre" else y
        y = block.bn2(block.conv2(block.relu(block.bn1(block.conv1(y)))))
        y = block.relu((gate(y) if placement == "standard" else y) + shortcut)
        y = gate(y) if placement == "post" else y
    assert torch.equal(ours.eval()(x), theirs.fc(theirs.avgpool(y).flatten(1)))


def test_attention_from_the_stage_before_is_one_rule() -> None:
    ours = build(use="elsewhere", after="stage", where="stage > 1", **{"from": {"guide": "/layer${stage - 1}"}})
    paths = ours.graph.added[0].places
    theirs = torchvision.models.resnet18(num_classes=10).eval()
    report = theirs.load_state_dict(ours.state_dict(), strict=False)
    assert {name.rpartition(".fc.")[0] for name in report.unexpected_keys} == set(paths)
    gates = [ours.get_submodule(path) for path in paths]
    x = torch.randn(2, 3, 64, 64)
    stage = theirs.layer1(theirs.maxpool(theirs.relu(theirs.bn1(theirs.conv1(x)))))
    for later, gate in zip((theirs.layer2, theirs.layer3, theirs.layer4), gates, strict=True):
        stage = gate(later(stage), stage)
    assert torch.equal(ours.eval()(x), theirs.fc(theirs.avgpool(stage).flatten(1)))


def test_a_tensor_deep_in_one_stage_reaches_a_node_deep_in_another() -> None:
    ours = build(use="elsewhere", after="layer4.1.bn1", **{"from": {"guide": "/layer2.0.downsample.0"}})
    (path,) = ours.graph.added[0].places
    seen: dict[str, Tensor] = {}
    ours.get_submodule("layer2.0.downsample.0").register_forward_hook(lambda m, i, y: seen.update(guide=y))
    ours.get_submodule("layer4.1.bn1").register_forward_hook(lambda m, i, y: seen.update(x=y.clone()))
    ours.get_submodule(path).register_forward_hook(lambda m, i, y: seen.update(first=i[0].clone(), second=i[1], y=y))
    result = ours.eval()(torch.randn(2, 3, 64, 64))
    assert torch.equal(seen["first"], seen["x"])
    assert torch.equal(seen["second"], seen["guide"])
    assert result.shape == (2, 10)
    # Stages stay what they are: sequences of their blocks.
    assert [len(stage) for stage in (ours.layer1, ours.layer2, ours.layer3, ours.layer4)] == [2, 2, 2, 2]
    assert len(ours.graph.levels) == 5
    for copied in (copy.deepcopy(ours), pickle.loads(pickle.dumps(composer.build(ours.spec, seed=1)))):
        copied.load_state_dict(ours.state_dict())
        x = torch.randn(2, 3, 64, 64)
        assert torch.equal(copied.eval()(x), ours(x))
    exported = torch.export.export(ours, (torch.randn(2, 3, 64, 64),)).module()
    assert torch.allclose(exported(x), ours(x), atol=1e-5)


def test_a_node_waits_for_a_tensor_that_runs_after_its_host() -> None:
    found = composer.graph(
        {
            "backbone": "resnet18",
            "attention": [
                {"use": "elsewhere", "after": "branch", "where": "stage == 2", "from": {"guide": "downsample"}}
            ],
        }
    )
    block = found.root.nodes["layer2"].content.nodes["0"].content
    names = list(block.nodes)
    assert names.index("downsample") < names.index(found.added[0].places[0].rpartition(".")[2]) < names.index("add")


def test_what_later_rules_put_behind_the_tensor_belongs_to_it() -> None:
    rules = [
        {"use": "elsewhere", "after": "layer1.0.bn2", "from": {"guide": "./bn1"}},
        {"use": "se", "after": "layer1.0.bn1", "name": "later"},
    ]
    found = composer.graph({"backbone": "resnet18", "attention": rules})
    (path,) = found.added[0].places
    nodes = found.root.nodes["layer1"].content.nodes["0"].content.nodes
    assert "later" in nodes[path.rpartition(".")[2]].inputs[1]


def test_the_input_of_a_host_with_several_can_be_chosen() -> None:
    for chosen in ("downsample", 1):
        found = composer.graph(
            {"backbone": "resnet18", "attention": [{"use": "se", "before": "**.add", "input": chosen}]}
        )
        block = found.root.nodes["layer2"].content.nodes["0"].content
        gate = block.nodes[block.nodes["add"].inputs[1]]
        assert gate.op == "se"
        assert gate.inputs == ("downsample",)
        assert block.nodes["add"].inputs[0] == "bn2"


def test_the_input_of_a_host_is_known_by_its_node_after_a_rule_too() -> None:
    rules = [{"use": "eca", "after": "branch"}, {"use": "se", "before": "**.add", "input": "bn2"}]
    found = composer.graph({"backbone": "resnet18", "attention": rules})
    block = found.root.nodes["layer1"].content.nodes["0"].content
    gate = block.nodes[block.nodes["add"].inputs[0]]
    assert (gate.op, block.nodes[gate.inputs[0]].op) == ("se", "eca")


def test_two_rules_at_one_input_name_it_alike() -> None:
    rules = [{"use": one, "before": "**.add", "input": "downsample"} for one in ("se", "eca", "se")]
    found = composer.graph({"backbone": "resnet18", "attention": rules})
    block = found.root.nodes["layer2"].content.nodes["0"].content
    trail, name = [], block.nodes["add"].inputs[1]
    while block.nodes[name].rule is not None:
        trail.append(block.nodes[name].op)
        (name,) = block.nodes[name].inputs
    assert (trail, name) == (["se", "eca", "se"], "downsample")


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({"after": "branch"}, "`elsewhere` takes `x`, `guide`, and nothing says what `guide` is"),
        ({"after": "branch", "from": {"guid": "./conv1"}}, "did you mean `guide`?"),
        ({"after": "branch", "from": {"guide": "./conv9"}}, "there is no `./conv9`"),
        ({"after": "branch", "from": {"guide": "../../../x"}}, "`../../../x` leads out of the network"),
        ({"after": "branch", "from": {"guide": "./conv1.weight"}}, "nothing is inside `layer1.0.conv1`, a `conv2d`"),
        ({"after": "layer1.0", "from": {"guide": "/layer2"}}, "`layer2`, which depends on it"),
        ({"after": "layer1.0.conv1", "from": {"guide": "./bn2"}}, "`bn2`, which depends on it"),
        ({"after": "layer1.0.conv1", "from": {"guide": "/layer1"}}, "which depends on it"),
        ({"before": "**.add", "input": "skip", "from": {"guide": "input"}}, "`layer1.0.add` has no input `skip`"),
        ({"before": "**.add", "input": 2, "from": {"guide": "input"}}, "or a number below 2"),
        ({"after": "branch", "input": 0, "from": {"guide": "input"}}, "`input` has nothing to choose"),
        ({"replace": "**.add", "from": {"guide": "input"}}, "the place itself gives `guide`"),
        ({"after": "branch", "from": {"guide": "/layer${stage}x"}}, "there is no `/layer1x`"),
        ({"after": "layer1.0.conv1", "from": {"guide": "/layer3"}}, "`layer3`, which depends on it"),
        ({"after": "branch", "from": {"guide": "/fc"}}, "`guide` is `b c`, the place `b c h w`"),
    ],
)
def test_wrong_tensors_are_refused_where_they_are_written(rule: dict[str, Any], said: str) -> None:
    assert said in fails(use="elsewhere", **rule)


def test_what_a_mechanism_of_one_tensor_cannot_replace_is_said() -> None:
    assert "`se` takes 1 input, found 2" in fails(use="se", replace="**.add")


def test_a_mechanism_of_several_tensors_is_a_node_too() -> None:
    nodes = {
        "a": {"op": "conv2d", "out_channels": 8, "kernel_size": 3},
        "b": {"op": "conv2d", "from": "input", "out_channels": 4, "kernel_size": 3},
        "gate": {"op": "elsewhere", "from": ["a", "b"]},
    }
    model = composer.build({"input": [3, 16, 16], "nodes": nodes})
    assert model.gate.fc.in_features == 4
    assert model.gate.fc.out_features == 8


@pytest.mark.slow
def test_the_checks_run_on_a_mechanism_of_several_tensors() -> None:
    from composer import contract

    found = contract.run(contract.Subject(registry.get_mechanism("fuse")))
    assert {one.check for one in found if one.status == "failed"} == {"documented"}
