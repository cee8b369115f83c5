"""A difference as people read it: changes of one sort in one line, under names that name nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import composer
from composer.difference.labels import label

FOLDER = Path(__file__).parent / "texts"
HOSTILE = "[red]<b>\u200b\u2028\ufeff\n\"'[/red] 漢字"


def inserted(backbone: str, *rules: dict[str, Any]) -> dict[str, Any]:
    return {"name": "composed", "backbone": backbone, "attention": list(rules)}


def wrapped() -> dict[str, Any]:
    spec = composer.load("resnet18").to_mapping()
    first = {name: spec["nodes"].pop(name) for name in ("conv1", "bn1", "act1", "maxpool")}
    spec["blocks"]["stem"] = {"nodes": first}
    spec["nodes"] = {"stem": {"block": "stem"}, **spec["nodes"]}
    return spec


CASES: dict[str, Any] = {
    "cbam_resnet50": ("resnet50", "papers/cbam/resnet50"),
    "sk_resnext50": ("resnext50_32x4d", "papers/sk/resnext50_32x4d"),
    "mhsa_resnet50": ("resnet50", "papers/mhsa/resnet50"),
    "resnet101": ("resnet50", "resnet101"),
    "resnet18_resnet34": ("resnet18", "resnet34"),
    "resnet18_mobilenet": ("resnet18", "mobilenetv2_100"),
    "identity": ("mobilenetv2_100", "papers/cbam/mobilenetv2_100"),
    "smaller_images": ("resnet18", {"backbone": "resnet18", "input": [3, 64, 64]}),
    "more_classes": ("resnet18", {"backbone": "resnet18", "vars": {"num_classes": 2000}}),
    "after_blocks": ("resnet18", inserted("resnet18", {"use": "se", "after": "block", "where": "stage > 1"})),
    "wrapped": ("resnet18", wrapped()),
    "outputs": ("resnet18", {"backbone": "resnet18", "outputs": {"c3": "layer2", "c4": "layer3"}}),
}


@pytest.mark.parametrize("case", CASES)
def test_the_text_is_the_golden_one(case: str, request: pytest.FixtureRequest) -> None:
    """Renew with `pytest --renew`, then read the diff."""
    found, golden = f"{composer.diff(*CASES[case])}\n", FOLDER / f"{case}.txt"
    if request.config.getoption("--renew"):
        golden.write_text(found, encoding="utf-8")
    assert found == golden.read_text(encoding="utf-8")


def test_no_golden_text_without_its_case() -> None:
    assert {path.stem for path in FOLDER.glob("*.txt")} == set(CASES)


@pytest.mark.parametrize(
    ("paths", "text"),
    [
        (["conv1"], "conv1"),
        ([f"layer{stage}.{block}.conv2" for stage in (1, 2, 3, 4) for block in (0, 1)], "layer*.*.conv2"),
        ([f"layer{stage}.{block}.conv2" for stage in (2, 3) for block in (0, 1)], "layer[2-3].*.conv2"),
        ([f"layer{stage}.1.conv2" for stage in (1, 2, 3, 4)], "layer*.1.conv2"),
        (["layer1.0.conv2", "layer3.0.conv2"], "layer1, layer3.0.conv2"),
        (["layer2.0.downsample.0", "layer3.0.downsample.0", "layer4.0.downsample.0"], "layer*.0.downsample.0"),
        (["layer1.0.conv1", "layer1.0.conv2"], "layer1.0.conv*"),
        (["conv1", "bn1"], "conv1, bn1"),
        (["conv1", "layer1.0.conv1"], "conv1 … layer1.0.conv1"),
        (["layer1.0.conv1", "layer2.1.bn1"], "layer1.0.conv1 … layer2.1.bn1"),
    ],
)
def test_labels(paths, text):
    assert label(paths, composer.graph("resnet18").root) == text


def test_hostile_names_stay_in_their_cells():
    nodes: dict[str, Any] = {"a": {"op": "rearrange", "pattern": "b c h w -> b h w c"}}
    one: dict[str, Any] = {"name": HOSTILE, "input": [3, 8, 8], "nodes": nodes, "outputs": {HOSTILE: "a", "b": "a"}}
    text = str(composer.diff(one, {**one, "outputs": {"other[/]": "a", "b": "a"}}))
    assert all(character.isprintable() for line in text.split("\n") for character in line)
    assert "outputs.[red]<b>" in text
    assert "outputs.other[/]" in text
