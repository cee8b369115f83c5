"""Weights of networks inside a network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import composer
from composer import SpecError, WeightsError
from composer.artefacts import write
from composer.spec.dump import dump
from composer.weights import save_weights

NODES: dict[str, Any] = {
    "rgb": {
        "backbone": "resnet18",
        "from": "image",
        "outputs": "layer4",
        "attention": [{"use": "se", "after": "branch"}],
    },
    "depth": {"backbone": "resnet18", "from": "distance", "outputs": "layer2"},
    "both": {"op": "upsample", "from": ["rgb", "depth"]},
    "all": {"op": "concat", "from": ["both", "depth"]},
}
TWO: dict[str, Any] = {"inputs": {"image": [3, 64, 64], "distance": [1, 64, 64]}, "nodes": NODES}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number, name in enumerate(("a", "b")):
        save_weights(composer.build("resnet18", seed=number + 5), tmp_path / f"{name}.safetensors")
    return tmp_path


def spec(folder: Path, weights: Any, name: str = "two.yaml") -> Path:
    (folder / name).write_text(dump({**TWO, "weights": weights}))
    return folder / name


def test_each_part_has_weights_and_a_report_of_its_own(folder: Path) -> None:
    with pytest.warns(UserWarning, match="depth.conv1.weight"):
        model = composer.build(spec(folder, {"rgb": "a.safetensors", "depth": {"source": "b.safetensors"}}))
    own = model.state_dict()
    for path, seed in (("rgb", 5), ("depth", 6)):
        plain = composer.build("resnet18", seed=seed).state_dict()
        loaded = [name for name, one in plain.items() if name != "conv1.weight" and f"{path}.{name}" in own]
        assert len(loaded) > 50
        assert all(torch.equal(own[f"{path}.{name}"], plain[name]) for name in loaded)
    report = model.weights_report
    assert report is not None
    assert set(report.parts) == {"rgb", "depth"}
    assert report.parts["rgb"].inserted == tuple(name.removeprefix("rgb.") for name in own if ".se." in name)
    assert not report.missing
    behind = ("layer3.", "layer4.", "fc.")
    assert set(report.parts["depth"].left_out) == {name for name in plain if name.startswith(behind)}


def test_weights_of_one_part_leave_the_others_random(folder: Path) -> None:
    model = composer.build(spec(folder, {"rgb": "a.safetensors"}))
    fresh = composer.build(TWO)
    assert torch.equal(model.depth.conv1.weight, fresh.depth.conv1.weight)
    assert torch.equal(model.rgb.conv1.weight, composer.build("resnet18", seed=5).conv1.weight)


def test_a_part_names_its_own_weights_unless_the_spec_around_it_does(folder: Path) -> None:
    own = {**NODES, "rgb": {**NODES["rgb"], "weights": "a.safetensors"}}
    for name, weights, seed in (("own", {}, 5), ("other", {"weights": {"rgb": "b.safetensors"}}, 6)):
        (folder / f"{name}.yaml").write_text(dump({**TWO, "nodes": own, **weights}))
        model = composer.build(folder / f"{name}.yaml")
        assert torch.equal(model.rgb.conv1.weight, composer.build("resnet18", seed=seed).conv1.weight)
        fresh = composer.build(folder / f"{name}.yaml", weights="none")
        assert torch.equal(fresh.rgb.conv1.weight, composer.build(TWO).rgb.conv1.weight)


def test_the_lock_has_the_weights_of_all(folder: Path) -> None:
    model = composer.build(spec(folder, {"rgb": "a.safetensors"}))
    write(model, folder / "out")
    again = composer.build(folder / "out" / "two.lock.yaml")
    assert all(torch.equal(one, again.state_dict()[name]) for name, one in model.state_dict().items())


def test_the_command_line_tells_each_report(folder: Path, run: Any) -> None:
    path = spec(folder, {"rgb": "a.safetensors", "depth": "b.safetensors"})
    shown = run("build", path).out
    assert "rgb: loaded 120 tensors from" in shown
    assert "depth: loaded" in shown
    assert run("build", path, "--format", "json").json["weights"]["parts"].keys() == {"rgb", "depth"}


@pytest.mark.parametrize(
    ("weights", "said"),
    [
        ({"rbg": "a.safetensors"}, "there is no network `rbg` inside this one"),
        ({"both": "a.safetensors"}, "there is no network `both` inside this one"),
        ({"rgb": "c.safetensors"}, "there is no weights file `c.safetensors`"),
        ({"rgb": {"sauce": "a.safetensors"}}, "unknown key `sauce`"),
        ({"require": "all"}, "`source` is missing"),
    ],
)
def test_mistakes(folder: Path, weights: Any, said: str) -> None:
    with pytest.raises((SpecError, WeightsError)) as caught:
        composer.build(spec(folder, weights))
    assert said in str(caught.value)
    assert "two.yaml:" in str(caught.value)
