"""Processes that train together have the losses of one with the same batch, whether they share the network or not."""

from __future__ import annotations

import copy
import csv
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

VIT = {"backbone": "vit_tiny_patch16_224", "input": [1, 32, 32], "vars": {"depth": 2}}
RESNET = {"backbone": "resnet18", "input": [1, 32, 32]}
TRAIN = {"steps": 6, "batch": 32, "dtype": "float64", "augment": {"flip": True, "pad": 2}}
NUMBERS = ("training_loss", "validation_loss", "metric")
AVERAGED = {"ema": 0.9, "clip": 0.5, "accumulate": 2}


def command(folder: Path, spec: dict[str, Any], *more: str) -> list[str]:
    file = folder.with_suffix(".yaml")
    file.write_text(yaml.safe_dump(spec, sort_keys=False))
    return [sys.executable, "-m", "composer", "train", str(file), "-o", str(folder), *more]


def history(folder: Path) -> list[dict[str, float]]:
    with (folder / "history.csv").open() as stream:
        return [{key: float(value) for key, value in row.items()} for row in csv.DictReader(stream)]


def trained(folder: Path, spec: dict[str, Any], *more: str) -> list[dict[str, float]]:
    done = subprocess.run(command(folder, spec, *more), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return history(folder)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("strategy", "network", "more"),
    [
        ("ddp", VIT, {}),
        ("ddp", RESNET, {"freeze_norms": True}),
        ("fsdp", VIT, AVERAGED),
        ("fsdp", RESNET, {"freeze_norms": True, "checkpoint": True, "groups": [{"at": "stem", "freeze": True}]}),
    ],
    ids=["ddp-vit", "ddp-resnet", "fsdp-vit", "fsdp-resnet"],
)
def test_two_ranks_have_the_losses_of_one(tmp_path, strategy, network, more):
    spec = {**network, "train": {**TRAIN, **more}}
    one = trained(tmp_path / "one", spec)
    two = trained(tmp_path / "two", spec, "--devices", "2", "--strategy", strategy)
    assert len(one) == len(two) == 1
    for name in NUMBERS:
        assert two[0][name] == pytest.approx(one[0][name], rel=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_ranks_go_on_where_they_were(tmp_path, strategy, number):
    spec = {**VIT, "train": {"epochs": 3, "batch": 128}}
    several = ("--devices", "2", "--strategy", strategy)
    one = trained(tmp_path / "one", spec, *several)
    with subprocess.Popen(command(tmp_path / "two", spec, *several), stderr=subprocess.PIPE) as process:
        while not (tmp_path / "two" / "history.csv").exists():
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(number)
        if number == signal.SIGTERM:
            _, said = process.communicate()
            assert process.returncode == 128 + number, said
            assert b"go on: composer resume" in said
    resumed = [sys.executable, "-m", "composer", "resume", str(tmp_path / "two"), *several]
    done = subprocess.run(resumed, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for ours, theirs in zip(history(tmp_path / "two"), one, strict=True):
        assert {name: ours[name] for name in NUMBERS} == {name: theirs[name] for name in NUMBERS}


@pytest.fixture
def mesh(tmp_path):
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path / 'meeting'}", rank=0, world_size=1)
    try:
        yield torch.distributed.device_mesh.init_device_mesh("cpu", (1,))
    finally:
        torch.distributed.destroy_process_group()


def test_a_shared_network_takes_the_weights_and_the_state_of_a_whole_one(mesh):
    import composer
    from composer.training.sharding import load_optimizer, load_weights, shard, whole

    def stepped(model, optimizer):
        optimizer.zero_grad()
        model(torch.linspace(-1, 1, 2 * 3 * 32 * 32).reshape(2, 3, 32, 32)).square().sum().backward()
        optimizer.step()
        return copy.deepcopy((whole(model.state_dict()), whole(optimizer.state_dict())))

    first, second = (composer.build("resnet18", num_classes=3, seed=seed).eval() for seed in (0, 1))
    own = torch.optim.AdamW(first.parameters())
    weights, state = stepped(first, own)
    shard(second, second, mesh)
    other = torch.optim.AdamW(second.parameters())
    assert type(second.layer1.get_submodule("0").conv1.weight).__name__ == "DTensor"
    load_weights(second, weights)
    load_optimizer(other, state)
    (plain, plain_state), (shared, shared_state) = stepped(first, own), stepped(second, other)
    torch.testing.assert_close(shared, plain, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(shared_state["state"], plain_state["state"], rtol=1e-6, atol=1e-6)
