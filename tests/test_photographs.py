"""The main job on something real: ImageNet weights, photographs, and attentions that start as nothing.

The weights and the photographs come from packages that the README's test command installs without dependencies.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from PIL import Image

import composer
from composer import classify, registry
from composer.dag.rules.default_place import default_sources
from composer.mechanisms.both.cbam import CBAM
from composer.spec import zoo
from composer.weights import Checkpoint, load_weights, read_checkpoint
from composer.weights.keys import read_key_map
from tests.mechanisms.cases import marks

BACKBONES = [
    "mobilenetv2_100",
    pytest.param(
        "efficientnet_lite0",
        marks=pytest.mark.skipif(
            "efficientnet_lite0" not in zoo.backbones(), reason="the zoo has no such backbone yet"
        ),
    ),
]
MECHANISMS = [entry.name for entry in registry.entries("mechanism")]
# These see every photograph, the others a few.
THOROUGH = ("se", "cbam", "condconv")
FEW = 2


def rule_for(name: str) -> dict[str, Any]:
    """A place for any mechanism, the same on every backbone of inverted residuals."""
    entry = registry.get(name)
    place = {"replace": "spatial_conv"} if entry.replaces else {"after": "branch"}
    # Its groups would be as many as those of the depthwise convolution.
    options = {"with": {"cardinality": 1}} if name == "splat" else {}
    # Attention over all positions, and dense convolutions instead of depthwise ones, are for small maps.
    where = {"where": "height <= 7"} if entry.kind == "token" or options else {}
    if entry.kind == "fusion":
        # Blocks whose input has the size of their branch.
        where = {"where": "height <= 7 and block > 1"}
    if name == "fpa":
        # Its pyramid halves the map three times.
        where = {"where": "height == 14 and block > 1"}
    return {"use": name, **place, **where, **options, **default_sources(entry, place), "start": "identity"}


def logits(model: composer.ComposedModule, paths: list[Path]) -> torch.Tensor:
    _, batches = classify.inputs(model, paths, None)
    return classify.run(model, batches)["output"]


def right(found: torch.Tensor, photographs: dict[Path, int]) -> int:
    return sum(int(index) == label for index, label in zip(found.argmax(1), photographs.values(), strict=True))


@pytest.fixture(scope="module")
def checkpoints(request) -> dict[str, Checkpoint]:
    names = {"mobilenetv2_100": "weights", "efficientnet_lite0": "lite0_weights"}
    return {name: read_checkpoint(request.getfixturevalue(fixture)) for name, fixture in names.items()}


@pytest.fixture(scope="module")
def plain_logits(checkpoints, photographs) -> dict[tuple[str, int], torch.Tensor]:
    """Logits of the plain network, by its name and for how many photographs: another batch may round otherwise."""
    found = {}
    for name in set(checkpoints) & set(zoo.backbones()):
        model = composer.build(name)
        report = load_weights(model, checkpoints[name], require="all")
        assert len(report.loaded) == len(checkpoints[name].tensors)
        for number in (FEW, len(photographs)):
            found[name, number] = logits(model, list(photographs)[:number])
    return found


@pytest.mark.parametrize("mechanism", [pytest.param(name, marks=marks(name)) for name in MECHANISMS])
@pytest.mark.parametrize("backbone", BACKBONES)
def test_every_mechanism_starts_as_the_plain_network(backbone, mechanism, checkpoints, plain_logits, photographs):
    model = composer.build({"backbone": backbone, "attention": [rule_for(mechanism)]})
    report = load_weights(model, checkpoints[backbone])
    assert set(report.inserted) == {key for key in model.state_dict() if key not in report.loaded}
    assert report.inserted
    assert report.fills_backbone
    assert len(report.loaded) == len(checkpoints[backbone].tensors)
    number = len(photographs) if mechanism in THOROUGH else FEW
    found, plain = logits(model, list(photographs)[:number]), plain_logits[backbone, number]
    assert torch.equal(found, plain)
    seen = dict(list(photographs.items())[:number])
    assert right(found, seen) == right(plain, seen)


@pytest.mark.parametrize("backbone", BACKBONES)
def test_labelled_photographs(backbone, plain_logits, photographs):
    # Networks with 72 and 75 % on ImageNet; chance would be 0 of 20.
    assert right(plain_logits[backbone, len(photographs)], photographs) >= 12


def test_the_key_map_of_efficientnet_lite0(lite0_weights, photographs):
    keys = read_key_map("efficientnet_pytorch_lite0")
    found = {keys.rename(name): tensor for name, tensor in read_checkpoint(lite0_weights).tensors.items()}
    assert list(found) == list(timm.create_model("efficientnet_lite0").state_dict())
    # TensorFlow's padding, which these weights were trained with.
    peer = timm.create_model("tf_efficientnet_lite0").eval()
    peer.load_state_dict(found)
    prepared = timm.data.create_transform(**timm.data.resolve_data_config({}, model=peer))
    images = torch.stack([prepared(Image.open(path).convert("RGB")) for path in photographs])
    with torch.inference_mode():
        assert right(peer(images), photographs) >= 16


@pytest.fixture(scope="module")
def composed(weights: Path) -> composer.ComposedModule:
    """MobileNetV2 with CBAM that starts as the identity, with the weights by name."""
    model = composer.build("papers/cbam/mobilenetv2_100", weights=weights)
    report = model.weights_report
    assert report.keys == "torchvision_mobilenet_v2"
    assert len(report.loaded) == 314
    assert report.fills_backbone
    assert report.unexpected == ()
    return model


def test_cbam_is_really_there(composed) -> None:
    gates = [module for module in composed.modules() if isinstance(module, CBAM)]
    assert len(gates) == 17
    called = []
    hooks = [gate.register_forward_hook(lambda module, x, y: called.append(not torch.equal(x[0], y))) for gate in gates]
    composed.eval()(torch.randn(1, 3, 224, 224))
    for hook in hooks:
        hook.remove()
    assert called == [True] * 17


def test_the_cat_is_an_egyptian_cat(composed, cat) -> None:
    (answer,) = classify.guesses({"output": logits(composed, [cat])}, composed.spec.classes, 1) or []
    assert answer[0].name == "Egyptian cat"


def test_the_command_line_does_the_same(run, cat, weights) -> None:
    result = run("run", "papers/cbam/mobilenetv2_100", "--image", cat, "--weights", weights)
    assert result.code == 0
    assert "Egyptian cat" in result.out.splitlines()[2]
    assert "names by the key map `torchvision_mobilenet_v2`" in result.err
    assert "new, inserted by attention" in result.err
    *_, change, preparation = result.err.splitlines()
    assert change == "largest change of a logit against the plain network: 0"
    assert preparation.startswith("images are prepared with mean 0.485 0.456 0.406")
