"""A lock says what a model was, and a model that is another now is refused with what differs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import composer
from composer.artefacts import lock
from composer.errors import GraphError
from composer.spec.dump import dump


def written(tmp_path: Path, source: Any, **changes: Any) -> Path:
    """A lock of a network, with some of what it says of the model changed."""
    found = lock(composer.compose(source), 0)
    found["lock"]["model"] |= changes
    file = tmp_path / "net.lock.yaml"
    file.write_text(dump(found))
    return file


NET = {"backbone": {"timm": "resnet18", "args": {"drop_rate": 0.1}}, "vars": {"num_classes": 3}, "input": [1, 64, 64]}


def test_a_lock_composes_to_the_same_network(tmp_path: Path) -> None:
    file = written(tmp_path, NET)
    found = composer.load_spec(file).files[0].content.lock
    assert found is not None
    model = found["model"]
    assert (model["library"], model["class"]) == ("timm", "timm.models.resnet.ResNet")
    assert model["inputs"] == {"input": [1, 64, 64]}
    assert model["state"]["conv1.weight"] == [64, 1, 7, 7]
    again, graph = composer.compose(file), composer.compose(NET)
    assert [node.path for node, _ in again.operations] == [node.path for node, _ in graph.operations]
    assert again.num_parameters == graph.num_parameters


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"version": "0.1"}, "version was `0.1`, now"),
        (
            {"class": "timm.models.resnet.Other"},
            "class was `timm.models.resnet.Other`, now `timm.models.resnet.ResNet`",
        ),
        ({"inputs": {"input": [3, 64, 64]}}, "inputs was"),
        ({"sha256": "0", "state": {"a": [1]}}, "`a` was 1, now not there"),
    ],
)
def test_what_differs_is_named(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    file = written(tmp_path, NET, **changes)
    with pytest.raises(GraphError) as caught:
        composer.compose(file)
    (problem,) = caught.value.diagnostics
    assert problem.code == "lock"
    assert problem.location is not None
    assert words in problem.message


def test_the_first_key_that_differs_is_named(tmp_path: Path) -> None:
    state = lock(composer.compose(NET), 0)["lock"]["model"]["state"]
    state = {**state, "fc.bias": [4], "layer1.0.conv1.weight": [64, 64, 1, 1]}
    with pytest.raises(GraphError, match=r": `fc.bias` was 4, now 3\n"):
        composer.compose(written(tmp_path, NET, sha256="0", state=dict(reversed(state.items()))))


def test_what_is_changed_on_purpose_is_not_compared(tmp_path: Path) -> None:
    file = written(tmp_path, NET)
    assert composer.compose(file, vars={"num_classes": 5}).outputs["output"].channels == 5
    around = tmp_path / "around.yaml"
    around.write_text(f"backbone: {file.name}\nvars: {{num_classes: 6}}\n")
    assert composer.compose(around).outputs["output"].channels == 6
