"""Labels, numbers and maps are learnt as classes are; devices' options change how, not what."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from training.small import SMALL, record

import composer
from composer.errors import InputError
from composer.spec.recipe import Recipe
from composer.training.checkpoint import read_weights
from composer.training.tasks import Task, interval, wilson

CONV = {"op": "conv2d", "kernel_size": 3, "padding": 1}
MAP = {
    "name": "map",
    "input": [1, 16, 16],
    "vars": {"num_classes": 2},
    "nodes": {
        "conv": {**CONV, "out_channels": 8},
        "act": "relu",
        "out": {"op": "conv2d", "kernel_size": 1, "out_channels": "$num_classes", "site": "head"},
    },
}
RECIPE = {"epochs": 15, "batch": 16, "optimizer": {"lr": 0.02}}


def square(random, size=16):
    """An image with a bright square, and where it is."""
    pixels = random.integers(0, 90, (size, size)).astype(np.uint8)
    top, left = random.integers(0, size - 6, 2)
    mask = np.zeros((size, size), np.uint8)
    mask[top : top + 6, left : left + 6] = 1
    pixels[mask == 1] += 150
    return pixels, mask, (top, left)


def test_map_of_classes_is_learnt(tmp_path):
    random = np.random.default_rng(0)
    for folder in ("images", "masks"):
        (tmp_path / "data" / folder).mkdir(parents=True)
    for number in range(96):
        pixels, mask, _ = square(random)
        Image.fromarray(pixels).save(tmp_path / "data" / "images" / f"{number:03}.png")
        Image.fromarray(mask).save(tmp_path / "data" / "masks" / f"{number:03}.png")
    run = composer.train(MAP, str(tmp_path / "data"), out=tmp_path / "run", recipe=RECIPE, say=lambda text: None)
    found = record(run)
    assert (found["task"], found["metric"]) == ("map", "mIoU")
    # All background would be 0.43.
    assert found["test"]["value"] > 0.8


def test_labels_and_numbers_are_learnt(tmp_path):
    random = np.random.default_rng(0)
    lines, values = ["path,labels"], []
    images = []
    for number in range(96):
        pixels, _, (top, left) = square(random)
        name = f"{number:03}.png"
        Image.fromarray(pixels).save(tmp_path / name)
        words = [word for word, there in (("upper", top < 5), ("left", left < 5)) if there]
        lines.append(f'{name},"{";".join(words)}"')
        images.append(pixels)
        values.append([float(pixels.mean()) / 25, 0.5])
    (tmp_path / "labels.csv").write_text("\n".join(lines) + "\n")
    labels = composer.train(
        SMALL, str(tmp_path / "labels.csv"), out=tmp_path / "a", recipe=RECIPE, task="labels", say=lambda text: None
    )
    assert (record(labels)["metric"], record(labels)["classes"]) == ("mAP", ["left", "upper"])
    assert 0 < record(labels)["test"]["value"] <= 1
    np.savez(tmp_path / "values.npz", images=np.stack(images), labels=np.array(values, np.float32))
    numbers = composer.train(
        SMALL, str(tmp_path / "values.npz"), out=tmp_path / "b", recipe=RECIPE, say=lambda text: None
    )
    assert record(numbers)["metric"] == "mean absolute error"
    low, high = record(numbers)["test"]["interval"]
    assert low <= record(numbers)["test"]["value"] <= high


def test_a_network_with_names_of_other_classes_learns_values(tmp_path):
    random = np.random.default_rng(0)
    np.savez(tmp_path / "values.npz", images=random.random((24, 16, 16)), labels=random.normal(size=24))
    small = {**SMALL, "vars": {"num_classes": 1000}}
    (tmp_path / "small.yaml").write_text(yaml.safe_dump({**small, "classes": "imagenet1k"}, sort_keys=False))
    (tmp_path / "mine.yaml").write_text("backbone: small.yaml\n")
    run = composer.train(
        tmp_path / "mine.yaml",
        str(tmp_path / "values.npz"),
        out=tmp_path / "a",
        recipe={"steps": 1, "batch": 8},
        say=print,
    )
    assert record(run)["metric"] == "mean absolute error"


@pytest.mark.parametrize(
    "more",
    [
        {"amp": "bfloat16"},
        {"channels_last": True, "checkpoint": True},
        {"loss": "bce", "label_smoothing": 0.1, "augment": {"mixup": 0.5}},
        {"loggers": ["tensorboard"], "workers": 1},
    ],
    ids=["amp", "memory", "bce", "loggers"],
)
def test_options_of_a_recipe(tmp_path, more):
    recipe = {"steps": 3, "batch": 16, **more}
    network = {"backbone": "resnet18", "input": [1, 32, 32], "attention": [{"use": "se", "after": "branch"}]}
    run = composer.train(network, "digits", out=tmp_path / "run", recipe=recipe, say=lambda text: None)
    assert run.checkpoint["progress"]["step"] == 3
    assert (
        bool(list((run.folder / "tensorboard").glob("events*"))) == ("loggers" in more) if "loggers" in more else True
    )


def test_outputs_that_only_training_has_count(tmp_path):
    network = {
        "name": "aided",
        "input": [1, 8, 8],
        "nodes": {
            "conv": {"op": "conv2d", "out_channels": 8, "kernel_size": 3},
            "aux": {"op": "global_avg_pool", "from": "conv"},
            "aux_fc": {"op": "linear", "out_features": 10},
            "pool": {"op": "global_avg_pool", "from": "conv"},
            "fc": {"op": "linear", "out_features": 10},
        },
        "outputs": {"logits": "fc", "aux": {"from": "aux_fc", "only": "training"}},
    }
    run = composer.train(
        network, "digits", out=tmp_path / "run", recipe={"steps": 1, "batch": 4}, say=lambda text: None
    )
    first, last = (read_weights(path) for path in sorted((run.folder / "checkpoints").glob("step-*.safetensors")))
    moved = [name for name in first if name.startswith("aux") and not torch.equal(first[name], last[name])]
    assert moved


def test_network_that_gives_no_map_is_refused_for_masks(tmp_path):
    for folder in ("images", "masks"):
        (tmp_path / "data" / folder).mkdir(parents=True)
    for number in range(20):
        pixels, mask, _ = square(np.random.default_rng(number))
        Image.fromarray(pixels).save(tmp_path / "data" / "images" / f"{number}.png")
        Image.fromarray(mask).save(tmp_path / "data" / "masks" / f"{number}.png")
    with pytest.raises(InputError, match="a map of scores for each class"):
        composer.train(SMALL, str(tmp_path / "data"), out=tmp_path / "run", recipe={"batch": 4}, say=lambda text: None)


def test_intervals_cover():
    assert wilson(0, 10)[0] == pytest.approx(0)
    low, high = interval(torch.arange(100, dtype=torch.float64))
    assert low < 49.5 < high
    assert Task("values", 1).is_better(1.0, 2.0)
    assert not Task("classes", 3).is_better(float("nan"), None)
    assert Task("labels", 3).loss_name(Recipe()) == "bce"
