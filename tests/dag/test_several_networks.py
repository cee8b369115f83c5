"""Networks inside a network, as their users meet them: what is left out, features, weights, places."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from safetensors.torch import save_file

import composer
from composer.artefacts import lock

ENCODER = {"encoder": {"backbone": "resnet18", "outputs": "levels"}}


def test_what_no_node_takes_of_a_network_inside_is_left_out() -> None:
    nodes = {"e": {"block": "encoder"}, "head": {"op": "conv2d", "from": "e.c3", "out_channels": 2, "kernel_size": 1}}
    graph = composer.compose({"input": [3, 64, 64], "blocks": ENCODER, "nodes": nodes})
    assert {path.split(".")[1] for path in graph.places.paths if path.startswith("e.")} == {
        *("conv1", "bn1", "act1", "maxpool", "layer1", "layer2")
    }


def two(**more: object) -> dict[str, object]:
    nodes = {
        "rgb": {"block": "encoder", "from": "left"},
        "depth": {"block": "encoder", "from": "right"},
        "sum": {"op": "add", "from": ["rgb.c5", "depth.c5"]},
    }
    return {"inputs": {"left": [3, 64, 64], "right": [3, 64, 64]}, "blocks": ENCODER, "nodes": nodes, **more}


def test_features_of_several_networks_are_not_one_pyramid() -> None:
    with pytest.raises(composer.InputError, match="holds several networks, `rgb`, `depth`"):
        composer.features(two())


@pytest.mark.parametrize("wrong", ["colour", "head"])
def test_weights_for_a_network_that_is_not_there_are_refused_with_the_text(wrong: str, tmp_path: Path) -> None:
    (tmp_path / "net.yaml").write_text(yaml.safe_dump(two(weights={wrong: "a.safetensors", "rgb": "a.safetensors"})))
    save_file(composer.build("resnet18").state_dict(), tmp_path / "a.safetensors")
    with pytest.raises(composer.SpecError, match=f"no network `{wrong}` inside"):
        composer.load(tmp_path / "net.yaml")


def test_a_lock_names_the_source_of_each_networks_weights(tmp_path: Path) -> None:
    (tmp_path / "net.yaml").write_text(yaml.safe_dump(two(weights={"rgb": "a.safetensors"})))
    save_file(composer.build("resnet18").state_dict(), tmp_path / "a.safetensors")
    model = composer.build(tmp_path / "net.yaml")
    written = lock(model.graph, model.seed, model.weights_report, "net.safetensors", {})
    (source,) = written["lock"]["weights"]["source"].items()
    assert source[0] == "rgb"
    assert source[1].endswith("a.safetensors")
