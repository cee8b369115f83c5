"""Nodes that share: one module, called several times, against plain modules that do the same."""

from __future__ import annotations

import copy
import io
import pickle
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torchvision.models.detection.retinanet import RetinaNetHead

import composer

UNIT: dict[str, Any] = {
    "nodes": {
        "conv": {"op": "conv2d", "out_channels": 4, "kernel_size": 3},
        "bn": {"op": "batch_norm", "site": "branch"},
        "add": {"op": "add", "from": ["bn", "input"]},
        "act": "relu",
    }
}
SIAMESE: dict[str, Any] = {
    "inputs": {"left": [4, 8, 8], "right": [4, 8, 12]},
    "blocks": {
        "unit": UNIT,
        "tower": {"nodes": {"units": {"block": "unit", "repeat": 2}, "pool": "global_avg_pool"}},
    },
    "nodes": {
        "tower": {"block": "tower", "from": "left"},
        "again": {"share": "tower", "from": "right"},
        "distance": {"op": "sub", "from": ["tower", "again"]},
        "same": {"op": "linear", "out_features": 1},
    },
}


class Unit(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(4)

    def forward(self, x: Tensor) -> Tensor:
        return (self.bn(self.conv(x)) + x).relu()


class Siamese(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.tower = nn.Module()
        self.tower.units = nn.Sequential(Unit(), Unit())
        self.same = nn.Linear(4, 1)

    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        one, other = (self.tower.units(x).mean((2, 3)) for x in (left, right))  # type: ignore[operator]
        result: Tensor = self.same(one - other)
        return result


class Mean(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3))


def siamese() -> composer.ComposedModule:
    model = composer.build(SIAMESE)
    assert isinstance(model, composer.ComposedModule)
    return model


@pytest.fixture
def pair() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    return torch.randn(2, 4, 8, 8), torch.randn(2, 4, 8, 12)


def test_a_siamese_network_is_a_plain_module_with_one_tower(pair: tuple[Tensor, Tensor]) -> None:
    ours, plain = siamese(), Siamese()
    plain.load_state_dict(ours.state_dict())
    given, expected = ours(*pair), plain(*pair)
    assert torch.equal(given, expected)
    for result in (given, expected):
        result.square().sum().backward()
    gradients = dict(plain.named_parameters())
    assert {name for name, _ in ours.named_parameters()} == gradients.keys()
    for name, parameter in ours.named_parameters():
        assert torch.equal(parameter.grad, gradients[name].grad), name  # type: ignore[arg-type]
    # Batch statistics moved twice, once per call.
    assert ours.tower.units[0].bn.num_batches_tracked == 2  # type: ignore[union-attr,index]
    assert "self.tower(right)" in ours.code


def test_its_copies_share_among_themselves(pair: tuple[Tensor, Tensor]) -> None:
    ours = siamese().eval()
    expected = ours(*pair)
    file = io.BytesIO()
    torch.save(ours, file)
    file.seek(0)
    for other in (copy.deepcopy(ours), pickle.loads(pickle.dumps(ours)), torch.load(file, weights_only=False)):
        assert torch.equal(other(*pair), expected)
        with torch.no_grad():
            other.tower.units[0].conv.weight.zero_()
            other.tower.units[1].conv.weight.zero_()
        # The second tower has the zeros too: a unit without its branch passes positive numbers on.
        positive = tuple(x.abs() for x in pair)
        assert torch.allclose(other(*positive), other.same(positive[0].mean((2, 3)) - positive[1].mean((2, 3))))
    assert torch.equal(ours(*pair), expected)


def test_what_is_put_in_by_hand_is_called_by_all(pair: tuple[Tensor, Tensor]) -> None:
    ours = siamese().eval()
    ours.tower = Mean()
    one, other = (x.mean((2, 3)) for x in pair)
    assert torch.equal(ours(*pair), ours.same(one - other))  # type: ignore[operator]
    assert ours.graph.edits == ("tower is Mean(): it was a `tower`",)


def test_features_inside_both_calls(pair: tuple[Tensor, Tensor]) -> None:
    ours = siamese().eval()
    view = composer.features(ours, {"one": "tower.units.0", "other": "again.units.0.bn", "end": "again"})
    given = view(*pair)
    unit = ours.tower.units[0]  # type: ignore[union-attr,index]
    assert torch.equal(given["one"], unit(pair[0]))
    assert torch.equal(given["other"], unit.bn(unit.conv(pair[1])))
    assert torch.equal(given["end"], ours.tower(pair[1]))
    assert view.tower.units[0].conv is unit.conv
    # A view of the further call alone keeps the module that it calls.
    assert torch.equal(composer.features(ours, "again")(*pair)["again"], ours.tower(pair[1]))


def test_a_rule_inside_reaches_every_call(pair: tuple[Tensor, Tensor]) -> None:
    model = composer.build({**SIAMESE, "attention": [{"use": "se", "after": "branch", "expect": 2}]}).eval()
    seen: list[Tensor] = []
    gate = model.tower.units[0].se  # type: ignore[union-attr,index]
    gate.register_forward_hook(lambda module, inputs, output: seen.append(output))
    model(*pair)
    assert [tuple(one.shape) for one in seen] == [(2, 4, 8, 8), (2, 4, 8, 12)]
    assert sum(p.numel() for p in model.parameters()) == model.graph.num_parameters
    places = model.graph.mechanisms[0]
    assert places == ("tower.units.0.se", "tower.units.1.se")


def test_copies_that_are_one() -> None:
    spec = {
        "input": [4, 6, 6],
        "blocks": {"unit": {**UNIT, "site": "block"}},
        "nodes": {"units": {"block": "unit", "repeat": 12, "share": True}},
    }
    model = composer.build(spec).eval()
    plain = Unit().eval()
    plain.load_state_dict({name.removeprefix("units.0."): one for name, one in model.state_dict().items()})
    x = torch.rand(2, 4, 6, 6)
    expected = x
    for _ in range(12):
        expected = plain(expected)
    assert torch.equal(model(x), expected)
    assert model.graph.num_parameters == 4 * 4 * 9 + 8
    assert model.graph.num_macs == 12 * 4 * 4 * 9 * 36
    # Inline copies are nodes of the scope; the first owns the module.
    inline = {**spec, "nodes": {"unit": {"block": "unit", "repeat": 3, "share": True, "inline": True}}}
    three = composer.build(inline).eval()
    three.load_state_dict({f"0.{name}": one for name, one in plain.state_dict().items()})
    assert torch.equal(three(x), plain(plain(plain(x))))


def test_all_copies_of_a_repeat_that_is_called_again() -> None:
    conv = {"op": "conv2d", "out_channels": 4, "kernel_size": 3}
    nodes = {
        "first": {**conv, "repeat": 2},
        "again": {"share": "first"},
        "all": {"op": "concat", "from": ["first.*", "again.*"]},
    }
    model = composer.build({"input": [4, 6, 6], "nodes": nodes})
    one, other = model.first  # type: ignore[misc]
    found = [torch.randn(2, 4, 6, 6)]
    for layer in (one, other, one, other):
        found.append(layer(found[-1]))
    assert torch.equal(model(found[0]), torch.cat(found[1:], 1))


def test_an_activation_with_several_callers_overwrites_nothing() -> None:
    spec = {
        "input": [4, 6, 6],
        "nodes": {
            "conv": {"op": "conv2d", "out_channels": 4, "kernel_size": 1},
            "act": "relu",
            "bn": {"op": "batch_norm", "from": "input"},
            "again": {"share": "act"},
            "add": {"op": "add", "from": ["act", "again", "bn"]},
        },
    }
    model = composer.build(spec).eval()
    x = torch.randn(2, 4, 6, 6)
    norm = model.bn(x)
    assert torch.equal(model(x), model.conv(x).relu() + norm.relu() + norm)


def _head(name: str, width: int) -> dict[str, Any]:
    """One half of RetinaNet's head, under torchvision's names."""
    pair = {"0": {"op": "conv2d", "out_channels": 256, "kernel_size": 3, "bias": True}, "1": "relu"}
    end = {"op": "conv2d", "out_channels": width, "kernel_size": 3, "bias": True}
    return {"pair": {"nodes": pair}, name: {"nodes": {"conv": {"block": "pair", "repeat": 4}, name: end}}}


def test_retinanets_head_over_five_levels_is_torchvisions() -> None:
    sides = {"p3": 16, "p4": 8, "p5": 4, "p6": 2, "p7": 1}
    anchors, classes = 9, 5
    nodes: dict[str, Any] = {}
    for end, owner in (("cls_logits", "classification_head"), ("bbox_reg", "regression_head")):
        nodes |= {f"{end}_{level}": {"share": owner, "from": level} for level in sides}
        nodes[f"{end}_p3"] = None
        nodes = {owner if name == f"{end}_p3" else name: node for name, node in nodes.items()}
        nodes[owner] = {"block": end, "from": "p3"}
    spec = {
        "inputs": {level: [256, side, side] for level, side in sides.items()},
        "blocks": _head("cls_logits", anchors * classes) | _head("bbox_reg", anchors * 4),
        "nodes": nodes,
        "outputs": {name: name for name in nodes},
    }
    ours = composer.build(spec)
    theirs = RetinaNetHead(256, anchors, classes)
    nn.init.normal_(theirs.classification_head.cls_logits.weight)
    ours.load_state_dict(theirs.state_dict())
    assert ours.graph.num_parameters == sum(p.numel() for p in theirs.parameters())
    maps = [torch.randn(2, 256, side, side) for side in sides.values()]
    given, expected = ours(*maps), theirs(maps)
    found = []
    for end, owner, width in (("cls_logits", "classification_head", classes), ("bbox_reg", "regression_head", 4)):
        levels = [given[owner], *(given[f"{end}_{level}"] for level in list(sides)[1:])]
        rows = [y.unflatten(1, (anchors, width)).permute(0, 3, 4, 1, 2).flatten(1, 3) for y in levels]
        found.append(torch.cat(rows, 1))
    assert torch.equal(found[0], expected["cls_logits"])
    assert torch.equal(found[1], expected["bbox_regression"])
    for results in (found, list(expected.values())):
        sum(one.square().sum() for one in results).backward()  # type: ignore[union-attr]
    for (name, one), other in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        assert torch.allclose(one.grad, other.grad, rtol=1e-4), name  # type: ignore[arg-type]
    # One weight is one multiplication at each position of each level.
    weights = sum(p.numel() for name, p in theirs.named_parameters() if name.endswith("weight"))
    assert ours.graph.num_macs == weights * sum(side**2 for side in sides.values())


def test_it_is_exported_with_one_set_of_weights(pair: tuple[Tensor, Tensor]) -> None:
    ours = siamese().eval()
    for strict in (False, True):
        exported = torch.export.export(ours, pair, strict=strict)
        assert sorted(exported.state_dict) == sorted(ours.state_dict())
        assert torch.equal(exported.module()(*pair), ours(*pair))
