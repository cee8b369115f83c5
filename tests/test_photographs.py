"""The main job on something real: torchvision's ImageNet weights, photographs, and an attention that starts as nothing.

The weights and the photographs come from packages that the README's test command installs without dependencies.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import composer
from composer import classify
from composer.mechanisms.cbam import CBAM


def logits(model: composer.ComposedModule, paths: list[Path]) -> torch.Tensor:
    _, batches = classify.inputs(model, paths, None)
    return classify.run(model, batches)["logits"]


@pytest.fixture(scope="module")
def pair(weights: Path) -> tuple[composer.ComposedModule, composer.ComposedModule]:
    """MobileNetV2 plain, and with CBAM that starts as the identity, both with the weights."""
    models = composer.build("mobilenetv2_100"), composer.build("papers/cbam/mobilenetv2_100")
    for model in models:
        report = composer.load_weights(model, weights, match="order")
        assert len(report.loaded) == 314
        assert not report.missing
        assert not report.unexpected
    return models


def test_cbam_is_really_there(pair) -> None:
    _, composed = pair
    gates = [module for module in composed.modules() if isinstance(module, CBAM)]
    assert len(gates) == 17
    called = []
    hooks = [gate.register_forward_hook(lambda module, x, y: called.append(not torch.equal(x[0], y))) for gate in gates]
    composed.eval()(torch.randn(1, 3, 224, 224))
    for hook in hooks:
        hook.remove()
    assert called == [True] * 17


def test_logits_equal_the_plain_networks_bit_for_bit(pair, cat, photographs) -> None:
    plain, composed = pair
    paths = [cat, *photographs]
    assert torch.equal(logits(plain, paths), logits(composed, paths))


def test_the_cat_is_an_egyptian_cat(pair, cat) -> None:
    (answer,) = classify.guesses({"logits": logits(pair[1], [cat])}, pair[1].spec.classes, 1) or []
    assert answer[0].name == "Egyptian cat"


def test_labelled_photographs(pair, photographs) -> None:
    found = logits(pair[1], list(photographs)).argmax(1)
    right = sum(int(index) == label for index, label in zip(found, photographs.values(), strict=True))
    # A network with 72 % on ImageNet; chance would be 0 of 20.
    assert right >= 12


def test_the_command_line_does_the_same(run, cat, weights) -> None:
    result = run("run", "papers/cbam/mobilenetv2_100", "--image", cat, "--weights", weights, "--match", "order")
    assert result.code == 0
    assert "Egyptian cat" in result.out.splitlines()[2]
    assert "missing, inserted by attention" in result.err
