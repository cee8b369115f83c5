"""Specs that begin with a model of another library: nodes and outputs behind it, parts, features, pickles."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from torch import Tensor, nn

import composer

X = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
RULE = {"use": "se", "after": "branch"}


def built(spec: dict[str, Any]) -> composer.ComposedModule:
    return composer.build({"name": "net", "input": [3, 64, 64], **spec}).eval()


def same(first: Any, second: Any) -> bool:
    if isinstance(first, Tensor):
        return torch.equal(first, second)
    return first.keys() == second.keys() and all(torch.equal(value, second[name]) for name, value in first.items())


NECK = {
    "lateral": {"op": "conv2d", "from": "layer4", "out_channels": 8, "kernel_size": 1},
    "up": {"op": "upsample", "from": ["lateral", "layer3"]},
    "side": {"op": "conv2d", "from": "layer3.0", "out_channels": 8, "kernel_size": 1},
    "sum": {"op": "add", "from": ["up", "side"]},
    "full": {"op": "upsample", "from": ["sum", "input"]},
}
PART = {
    "nodes": {"rgb": {"block": "encoder"}, "pool": {"op": "global_avg_pool", "from": "rgb.c5"}},
    "attention": [RULE],
}


def part(backbone: Any) -> dict[str, Any]:
    return {**PART, "blocks": {"encoder": {"backbone": backbone, "outputs": "levels"}}}


@pytest.mark.parametrize(
    "spec",
    [
        lambda backbone: {"backbone": backbone, "attention": [RULE]},
        lambda backbone: {"backbone": backbone, "attention": [RULE], "outputs": {"c3": "layer2", "c5": "layer4"}},
        lambda backbone: {"backbone": backbone, "attention": [RULE, {"use": "eca", "after": "side"}], "nodes": NECK},
        part,
    ],
    ids=["plain", "outputs", "nodes behind", "a part with rules from outside"],
)
def test_equals_the_zoo_network_with_the_same_spec(spec: Any) -> None:
    ours, theirs = built(spec("resnet18")), built(spec({"timm": "resnet18"}))
    assert ours.state_dict().keys() == theirs.state_dict().keys()
    theirs.load_state_dict(ours.state_dict())
    assert same(theirs(X), ours(X))
    assert same(pickle.loads(pickle.dumps(theirs))(X), ours(X))
    assert same(torch.compile(theirs, fullgraph=True, backend="eager")(X), ours(X))


def test_a_fresh_process_loads_and_runs_it(tmp_path: Path) -> None:
    model = built({"backbone": {"timm": "resnet18"}, "attention": [RULE], "nodes": NECK})
    torch.save((model, X, model(X)), tmp_path / "net.pt")
    code = (
        "import torch; model, x, wanted = torch.load('net.pt', weights_only=False);"
        "assert torch.equal(model(x), wanted); print(type(model).__name__, len(model.graph.operations))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["ResNet", str(len(model.graph.operations))]


def test_is_of_the_library_and_of_composer() -> None:
    model = built({"backbone": {"timm": "resnet18"}, "attention": [RULE]})
    assert isinstance(model, timm.models.resnet.ResNet)
    assert isinstance(model, composer.ComposedModule)
    assert model.graph.num_parameters == sum(one.numel() for one in model.parameters())
    assert "self.se(" in model.code
    plain: Any = model
    assert plain.forward_features(X).shape == (2, 512, 2, 2)
    pyramid = composer.features(model, {"c3": "layer2", "c5": "layer4"})
    assert torch.equal(pyramid(X)["c5"], plain.forward_features(X))


def test_a_new_classifier_is_taken_too() -> None:
    model: Any = built({"backbone": {"timm": "resnet18"}, "outputs": {"logits": "fc", "c3": "layer2"}})
    model.reset_classifier(5)
    assert model(X)["logits"].shape == (2, 5)


def test_what_is_computed_within_a_forward_cannot_be_taken() -> None:
    with pytest.raises(composer.GraphError, match="within the forward of a module of another library"):
        built({"backbone": {"timm": "resnet18"}, "outputs": "layer1.0.add"})


def test_weights_of_the_plain_model_leave_only_what_was_inserted(tmp_path: Path) -> None:
    plain: nn.Module = timm.create_model("resnet18")
    torch.save(plain.state_dict(), tmp_path / "plain.pth")
    model = built({"backbone": {"timm": "resnet18"}, "attention": [RULE]})
    report = composer.load_weights(model, tmp_path / "plain.pth")
    assert set(report.inserted) == set(model.state_dict()) - set(plain.state_dict())
    assert not report.missing
