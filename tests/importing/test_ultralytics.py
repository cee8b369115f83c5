"""Model files of ultralytics become the same networks: its names, shapes and parameters row by row, and its outputs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from backbones.peers import assert_close, randomised
from importing.measure import digest
from importing.reference import EveryModule

import composer
from composer.importing.sources import import_source

HERE = Path(__file__).parent
MEASURED = json.loads((HERE / "measured.json").read_text())["models"]
SLOW = {"yolov8s", "yolo11m", "yolo12l", "yolo0l"}
# What decodes boxes is no part of the spec.
BINS = "dfl.conv.weight"


def imported(name):
    return import_source(str(HERE / "models" / f"{name}.yaml"))


def rows_of(graph):
    return graph.root.nodes["model"].content.nodes


def shapes(model):
    return {key: tuple(value.shape) for key, value in model.state_dict().items()}


@pytest.mark.parametrize("name", [pytest.param(one, marks=[pytest.mark.slow] * (one in SLOW)) for one in MEASURED])
def test_it_has_ultralytics_names_and_parameters(name):
    """As measured.py finds them in ultralytics."""
    wanted, model = MEASURED[name], composer.build(imported(name).mapping)
    graph = model.graph
    rows = {number: node.content.num_parameters for number, node in rows_of(graph).items()}
    last = str(len(wanted["rows"]) - 1)
    # The weights over which boxes are decoded, 16 numbers, are never learnt.
    bins = 16 if "boxes" in graph.outputs and "e2e" not in name else 0
    assert rows == {str(number): count for number, count in enumerate(wanted["rows"])} | {
        last: wanted["rows"][-1] - bins
    }
    found = shapes(model)
    if bins:
        found[f"model.{last}.{BINS}"] = (1, 16, 1, 1)
    assert (len(found), digest(found)) == (wanted["tensors"], wanted["digest"])


@pytest.mark.parametrize("scale", ["n", pytest.param("l", marks=pytest.mark.slow)])
def test_every_module_computes_what_its_description_says(scale):
    theirs = randomised(EveryModule(scale)).double()
    ours = composer.build(imported(f"yolo0{scale}").mapping | {"input": [3, 64, 96]}).double()
    assert shapes(ours) == shapes(theirs)
    ours.load_state_dict(theirs.state_dict())
    images = torch.randn(2, 3, 64, 96, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for training in (False, True):
        found, wanted = ours.train(training)(images), theirs.train(training)(images)
        for name, value in wanted.items():
            assert (found[name] - value).abs().max() <= 1e-9 * value.abs().max(), name
    for outputs in (found, wanted):
        sum(value.square().mean() for value in outputs.values()).backward()
    gradients = dict(ours.named_parameters())
    for name, parameter in theirs.named_parameters():
        torch.testing.assert_close(gradients[name].grad, parameter.grad, rtol=1e-7, atol=1e-9, msg=name)


def test_yolov8n_is_the_zoo_s_bit_for_bit():
    """Which is that of its description: tests/backbones/test_detection.py."""
    ours = composer.build(imported("yolov8n").mapping | {"input": [3, 64, 96]})
    levels = {"p3": "model.15", "p4": "model.18", "p5": "model.21"}
    neck = composer.features(randomised(ours), levels)
    zoo = composer.build({"backbone": "detection/yolov8n", "input": [3, 64, 96]}).eval()
    zoo.load_state_dict({key: value for key, value in ours.state_dict().items() if not key.startswith("model.22.")})
    images = torch.randn(2, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    found, wanted = neck.eval()(images), zoo(images)
    for name, value in wanted.items():
        assert_close(found[name], value, name, exact=True)


def test_a_classifier_has_another_norm_and_the_activation_of_its_file():
    model = composer.build(imported("yolo0n-cls").mapping)
    assert (model.model[0].bn.eps, model.model[0].act.negative_slope) == (1e-5, 0.2)
    assert model(torch.randn(2, 3, 64, 64)).shape == (2, 5)
    model.reset_classifier(9)
    assert model(torch.randn(2, 3, 64, 64)).shape == (2, 9)


def test_rules_find_its_places():
    rules = [
        {"use": "eca", "after": "block", "where": "stage >= 1", "expect": 6},
        {"use": "cbam", "after": "pyramid", "expect": 3},
        {"use": "se", "after": "branch", "where": "stage == 4", "expect": 1},
        {"use": "ese", "after": "stem", "expect": 1},
    ]
    graph = composer.graph({**imported("yolov8n").mapping, "attention": rules})
    assert graph.num_parameters > graph.plain.num_parameters == 3_157_184


def test_the_attention_of_each_head_can_be_recorded():
    model = composer.build(imported("yolo12n").mapping | {"input": [3, 128, 128]}).eval()
    with composer.record(model) as values, torch.no_grad():
        model(torch.randn(1, 3, 128, 128))
    # Four areas of 8 × 8 / 4 positions in two heads, and one area of 4 × 4 in four.
    assert {tuple(value.shape) for value in values.values()} == {(4, 2, 16, 16), (1, 4, 16, 16)}


def test_another_number_of_classes():
    model = composer.build(imported("yolov8n").mapping | {"input": [3, 64, 64]}, num_classes=3)
    assert model(torch.zeros(2, 3, 64, 64))["scores"].shape == (2, 3, 84)


def test_a_head_that_is_not_imported_is_named(tmp_path):
    text = (HERE / "models" / "yolov8.yaml").read_text().replace("Detect, [nc]", "Segment, [nc, 32, 256]")
    (tmp_path / "yolov8n-seg.yaml").write_text(text)
    found = import_source(str(tmp_path / "yolov8n-seg.yaml"))
    assert found.name == "yolov8n-seg"
    assert found.notes == (
        "row 22, Segment, is left out: the network ends with what it looks at, p3, p4, p5",
        "load a checkpoint with --require any, which leaves the head out",
    )
    assert composer.graph(found.mapping).num_parameters == composer.graph("detection/yolov8n").num_parameters


def test_the_text_says_which_row_each_node_is():
    text = imported("yolo0n").text
    assert text == (HERE / "yolo0n.yaml").read_text(), "renew it with `composer import`, and read what changed"
    assert max(map(len, text.splitlines())) < 160
