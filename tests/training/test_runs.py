"""A run that was killed, or stopped, ends as one that was not; and a run is what a plain loop gives."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from importlib.metadata import version

import pytest
import torch
import yaml
from safetensors.torch import load_file
from torch.nn import functional
from training.small import SMALL, equal, kept, record, rows, trained

import composer
from composer.errors import InputError, SpecError, UnavailableError
from composer.spec.augment import Augment
from composer.spec.load import load_spec
from composer.training import checkpoint
from composer.training.data import Loader, open_data, training_transform
from composer.training.keeping import Keeper
from composer.training.network import fitted
from composer.training.run import Run
from composer.training.trainer import Where

# Everything that draws, and everything that has a state.
FULL = {
    "epochs": 3,
    "accumulate": 2,
    "save_every": 5,
    "ema": 0.9,
    "clip": 1.0,
    "schedule": {"name": "cosine", "warmup": 0.5},
    "augment": {"pad": 2, "mixup": 0.2, "cutmix": 1.0},
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run that nothing stopped."""
    return trained(tmp_path_factory.mktemp("run") / "whole", FULL)


class Killed(BaseException):
    """The process ended here."""


@pytest.mark.parametrize("step", [7, 25, 38])
def test_resumed_run_ends_as_one_that_never_stopped(tmp_path, monkeypatch, whole, step):
    real = Keeper.on_train_batch_end

    def killed(self, *arguments):
        real(self, *arguments)
        if self.learner.progress.step == step:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Keeper, "on_train_batch_end", killed)
        with pytest.raises(Killed):
            trained(tmp_path / "run", FULL)
    run = composer.resume(tmp_path / "run", say=lambda text: None)
    assert equal(kept(run), kept(whole))
    assert rows(run) == rows(whole)
    assert record(run)["test"] == record(whole)["test"]


def test_killed_process_can_be_resumed(tmp_path, whole):
    spec, folder = tmp_path / "small.yaml", tmp_path / "run"
    spec.write_text(yaml.safe_dump({**SMALL, "train": FULL}, sort_keys=False))
    command = [sys.executable, "-m", "composer", "train", str(spec), "-o", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while process.poll() is None:
            found = None
            with contextlib.suppress(InputError):
                found = Run(folder).checkpoint
            if found and found["progress"]["step"] >= 10:
                process.send_signal(signal.SIGKILL)
                break
            time.sleep(0.005)
    assert process.returncode == -signal.SIGKILL
    run = composer.resume(folder, say=lambda text: None)
    assert equal(kept(run), kept(whole))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_saves_and_says_how_to_go_on(tmp_path, monkeypatch, whole, number, run):
    spec, folder = tmp_path / "small.yaml", tmp_path / "run"
    spec.write_text(yaml.safe_dump({**SMALL, "train": FULL}, sort_keys=False))
    real = Keeper.on_train_batch_end

    def asked(self, *arguments):
        if self.learner.progress.step == 12:
            os.kill(os.getpid(), number)
        real(self, *arguments)

    # A process that was started in the background ignores SIGINT.
    before = signal.signal(number, signal.default_int_handler)
    try:
        with monkeypatch.context() as patch:
            patch.setattr(Keeper, "on_train_batch_end", asked)
            result = run("train", spec, "-o", folder)
    finally:
        signal.signal(number, before)
    assert result.code == 128 + number
    assert f"stopped after 12 steps; go on: composer resume {folder}" in result.err
    assert run("resume", folder).code == 0
    assert equal(kept(Run(folder)), kept(whole))


def test_weights_are_those_of_a_plain_loop(tmp_path):
    recipe = {
        "epochs": 2,
        "dtype": "float64",
        "optimizer": {"name": "sgd", "lr": 0.1, "momentum": 0.9, "weight_decay": 1e-3},
        "schedule": {"name": "linear", "warmup": 1},
        "clip": 0.5,
        "label_smoothing": 0.1,
        "augment": {"pad": 2},
    }
    plain = {**SMALL, "nodes": {name: node for name, node in SMALL["nodes"].items() if name != "drop"}}
    ran = composer.train(plain, "digits", out=tmp_path / "run", recipe=recipe, say=lambda text: None)
    model = composer.build(yaml.safe_load(ran.network.read_text())).double()
    model.load_state_dict(load_file(ran.folder / "checkpoints" / "step-0000000.safetensors"))
    groups = [{"params": [one for one in model.parameters() if one.ndim > 1], "weight_decay": 1e-3}]
    groups += [{"params": [one for one in model.parameters() if one.ndim <= 1], "weight_decay": 0.0}]
    optimizer = torch.optim.SGD(groups, lr=0.1, momentum=0.9)
    image = next(iter(model.spec.inputs.values()))
    change = training_transform(Augment(pad=2), image, (1, 16, 16), "classes")
    loader = Loader(open_data("digits").train, change, 64, seed=0, train=True)
    step, each = 0, len(loader)
    for epoch in range(2):
        loader.epoch = epoch
        for images, targets in loader:
            rate = (step + 1) / each if step < each else 1 - (step - each) / each
            for group in optimizer.param_groups:
                group["lr"] = 0.1 * rate
            optimizer.zero_grad()
            functional.cross_entropy(model(images.double()), targets, label_smoothing=0.1).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 0.5)
            optimizer.step()
            step += 1
    for name, tensor in kept(ran)[0].items():
        torch.testing.assert_close(tensor, model.state_dict()[name], rtol=1e-9, atol=1e-12)


def test_recipe_of_a_run_is_that_of_its_file(tmp_path):
    run = trained(tmp_path / "run", {"recipe": "linear_probe", "epochs": 1, "workers": 0})
    assert run.training.recipe.optimizer.name == "sgd"
    first = load_file(run.folder / "checkpoints" / "step-0000000.safetensors")
    moved = [name for name, one in kept(run)[0].items() if not torch.equal(one, first[name])]
    assert moved == ["fc.bias", "fc.weight"]


def test_a_run_is_locked_and_knows_its_environment(tmp_path):
    run = trained(tmp_path / "run", {"epochs": 1, "seed": 3})
    locked = composer.load_spec(run.folder / "network.lock.yaml")
    assert composer.diff(locked, run.network).to_json() == composer.diff(run.network, run.network).to_json()
    assert yaml.safe_load((run.folder / "network.lock.yaml").read_text())["lock"]["seed"] == 3
    assert f"torch=={version('torch')}" in (run.folder / "environment.txt").read_text().splitlines()


def test_full_disk_leaves_the_last_checkpoint(tmp_path, monkeypatch):
    real = checkpoint.save_tensors

    def full(tensors, path, metadata=None):
        if "step-0000038" in path.name:
            raise OSError(28, "No space left on device")
        real(tensors, path, metadata)

    monkeypatch.setattr(checkpoint, "save_tensors", full)
    with pytest.raises(InputError, match="No space left on device") as caught:
        trained(tmp_path / "run", {"epochs": 3})
    assert "the checkpoint of step 19 is kept" in str(caught.value)
    monkeypatch.setattr(checkpoint, "save_tensors", real)
    assert len(composer.resume(tmp_path / "run", say=lambda text: None).history) == 3


def test_other_data_is_refused(tmp_path):
    run = trained(tmp_path / "run", {"epochs": 1})
    run.write_record({**record(run), "state": "training"})
    with pytest.raises(InputError, match="is not the data that") as caught:
        composer.resume(run.folder, open_data("digits", seed=1))
    assert "names, classes, sizes, targets or the split" in str(caught.value)


def test_one_folder_holds_one_run(tmp_path):
    run = trained(tmp_path / "run", {"epochs": 1})
    with pytest.raises(InputError, match="there is a run in"):
        trained(run.folder, {"epochs": 1})
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="is not empty"):
        trained(tmp_path / "other", {"epochs": 1})
    with run.alone(), pytest.raises(InputError, match="another process trains"):
        composer.resume(run.folder)


def test_a_run_that_exists_is_told_from_what_is_wanted(tmp_path):
    run = trained(tmp_path / "run", {"epochs": 1})
    with pytest.raises(InputError, match="it is the same network, recipe and data; go on with it"):
        trained(run.folder, {"epochs": 1})
    with pytest.raises(InputError) as caught:
        trained(run.folder, {"epochs": 2, "batch": 32}, size=48)
    assert "`recipe.epochs` was 1, and is 2" in str(caught.value)
    assert "network.yaml: +    shape: [1, 48, 48]\n" in str(caught.value)


def test_loss_that_is_not_finite_names_step_and_module(tmp_path):
    with pytest.raises(InputError, match="the loss is not finite at step") as caught:
        trained(tmp_path / "run", {"epochs": 2, "optimizer": {"name": "sgd", "lr": 1e30}, "schedule": "constant"})
    assert "the first output that is not finite is that of `conv2`" in str(caught.value)


def test_too_few_images_for_a_batch(tmp_path):
    with pytest.raises(InputError, match="fewer than a batch of 4096") as caught:
        trained(tmp_path / "run", {"batch": 4096})
    assert "train.batch=1024" in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_step_that_does_not_fit_is_refused_before_it_is_taken(tmp_path, monkeypatch):
    monkeypatch.setattr("composer.training.room.free_memory", lambda device: 10**5)
    with pytest.raises(InputError, match="a step of `small` at batch 64 needs at least") as caught:
        trained(tmp_path / "run", {"epochs": 1})
    assert "images fit beside the network" in str(caught.value)


@pytest.mark.parametrize(
    ("optimizer", "said"),
    [
        ({"name": "adamv"}, "no optimizer is called `adamv`"),
        ({"name": "sgd", "momentm": 0.9}, "`sgd` takes no `momentm`"),
        ({"name": "adamw", "betas": [0.9, 2.0]}, "`adamw` refuses its arguments"),
    ],
)
def test_optimizer_is_checked_first(tmp_path, optimizer, said):
    with pytest.raises(SpecError, match=said):
        trained(tmp_path / "run", {"optimizer": optimizer})


def test_group_at_no_place_is_refused(tmp_path):
    with pytest.raises(SpecError, match="no place is called `gats`") as caught:
        trained(tmp_path / "run", {"groups": [{"at": "gats", "lr": 2.0}]})
    assert caught.value.diagnostics[0].path == "train.groups.0.at"


def test_test_split_is_read_once(tmp_path, monkeypatch):
    data = open_data("digits")
    read: list[int] = []
    real = type(data.test).image

    def counted(self, index):
        if self is data.test:
            read.append(index)
        return real(self, index)

    monkeypatch.setattr(type(data.test), "image", counted)
    monkeypatch.setattr("composer.training.evaluating.write_page", lambda run, data=None: None)
    composer.train(SMALL, data, out=tmp_path / "run", recipe={"epochs": 2}, say=lambda text: None)
    assert sorted(read) == list(range(len(data.test)))


def test_early_stop_keeps_the_best(tmp_path):
    run = trained(tmp_path / "run", {"epochs": 30, "patience": 2, "optimizer": {"name": "sgd", "lr": 1e-9}})
    found = run.checkpoint["progress"]
    assert len(found["rows"]) < 30
    assert found["best"]["epoch"] == len(found["rows"]) - 2


def test_frozen_places_stay(tmp_path):
    run = trained(
        tmp_path / "run", {"epochs": 1, "groups": [{"at": "conv1", "freeze": True}, {"at": "bn1", "freeze": True}]}
    )
    folder = run.folder / "checkpoints"
    before = load_file(folder / "step-0000000.safetensors")
    after = load_file(folder / run.checkpoint["weights"])
    for name, tensor in before.items():
        same = name.startswith(("conv1.", "bn1."))
        assert torch.equal(tensor, after[name]) == same, name


def test_weights_bring_how_they_want_their_images(tmp_path):
    first = trained(tmp_path / "first", {"epochs": 1})
    spec = tmp_path / "spec.yaml"
    spec.write_text(yaml.safe_dump({**SMALL, "input": {"shape": [1, 16, 16]}}, sort_keys=False))
    said: list[str] = []
    second = composer.train(
        spec, out=tmp_path / "second", recipe={"epochs": 1}, weights=first.folder, size=16, say=said.append
    )
    one, other = (next(iter(yaml.safe_load(run.network.read_text())["inputs"].values())) for run in (first, second))
    assert other["mean"] == one["mean"] != [0.0]
    start = load_file(second.folder / "checkpoints" / "step-0000000.safetensors")
    assert torch.equal(start["conv1.weight"], load_file(first.weights)["conv1.weight"])


@pytest.mark.parametrize(
    ("network", "shape"),
    [
        ("resnet18", [1, 32, 32]),
        ("vit_tiny_patch16_224", [1, 32, 32]),
        ({"backbone": "resnet18", "input": [3, 64, 64]}, [3, 64, 64]),
        ({"backbone": "swin_tiny_patch4_window7_224"}, [1, 32, 32]),
        ("efficientnet_b1", [1, 32, 32]),
        ("timm:resnet10t", [1, 32, 32]),
        ({"backbone": "timm:resnet10t", "input": [3, 64, 64]}, [3, 64, 64]),
    ],
    ids=["resnet", "vit", "written", "swin", "own size", "timm", "timm, written"],
)
def test_network_follows_the_data_unless_it_is_written(network, shape):
    found = fitted(load_spec(network), open_data("digits"))
    (written,) = found.mapping["inputs"].values()
    assert written["shape"] == shape
    assert next(iter(found.graph.outputs.values())).channels == 10
    assert found.mapping["classes"] == [str(digit) for digit in range(10)]


@pytest.mark.parametrize(
    ("file", "keys", "value", "said"),
    [
        ("run.json", ["data", "fingerprint"], None, "no sound `data.fingerprint`"),
        ("run.json", ["classes", 0], 5, "no sound `classes.0`"),
        ("checkpoints/last.json", ["progress", "step"], -1, "no sound `progress.step`"),
        ("checkpoints/last.json", ["weights"], "../../../secret", "no sound `weights`"),
        ("checkpoints/last.json", ["state"], "gone.pt", "cannot read the checkpoint"),
    ],
)
def test_damaged_run_is_said(tmp_path, whole, file, keys, value, said):
    shutil.copytree(whole.folder, tmp_path / "run")
    path = tmp_path / "run" / file
    content = json.loads(path.read_text())
    inner = content
    for key in keys[:-1]:
        inner = inner[key]
    inner[keys[-1]] = value
    path.write_text(json.dumps(content))
    record_file = tmp_path / "run" / "run.json"
    record_file.write_text(record_file.read_text().replace('"state": "done"', '"state": "training"'))
    with pytest.raises(InputError, match=re.escape(said)):
        composer.resume(tmp_path / "run", say=lambda text: None)


def test_device_that_is_not_there_is_said(tmp_path):
    with pytest.raises(UnavailableError, match="Lightning cannot train on these devices") as caught:
        trained(tmp_path / "run", {"epochs": 1}, where=Where(accelerator="hovercraft"))
    assert "--accelerator cpu" in str(caught.value)
