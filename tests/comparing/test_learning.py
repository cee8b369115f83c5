"""A comparison that trains: runs of one seed start alike, see the same images, and are gone on with."""

from __future__ import annotations

import json

import numpy as np
import pytest
from safetensors.torch import load_file, save_file

import composer
from composer.comparing import api
from composer.comparing.results import Results
from composer.errors import InputError, SpecError

TEXT = """\
base: tiny.yaml
variants:
  se: {use: se, after: branch, with: {reduction: 2}}
  out: {use: se, after: nowhere}
control: {wider: true}
seeds: 2
train: {steps: 4, batch: 16}
"""


def quiet(text):
    pass


def test_trainings_pair_and_are_not_run_twice(write, data, tmp_path, monkeypatch):
    folder = tmp_path / "out"
    results = composer.compare(write(TEXT), data, out=folder, say=quiet)
    assert isinstance(results, Results)
    assert {trial.status for trial in results.trials.values()} == {"done"}
    plan = results.plan
    # What is counted is the network that is trained: for the data's classes and size.
    for row in plan.running:
        name = next(path for path in (folder / "trials").iterdir() if path.name == stem(row))
        record = json.loads((name / "seed-0/run/run.json").read_text())
        assert record["parameters"] == row.parameters
        assert record["macs"] == row.macs
    # The same first weights, where both networks have them; the same test images.
    first = {
        name: load_file(folder / f"trials/{name}/seed-1/run/checkpoints/step-0000000.safetensors")
        for name in ("tiny.yaml", "tiny.yaml_se")
    }
    shared = first["tiny.yaml"].keys() & first["tiny.yaml_se"].keys()
    assert shared == first["tiny.yaml"].keys()
    assert all(first["tiny.yaml"][key].equal(first["tiny.yaml_se"][key]) for key in shared)
    assert len({trial.fingerprint for trial in results.trials.values()}) == 1
    for (_, variant, seed), trial in results.trials.items():
        assert trial.best_epoch in range(1, len(trial.validation) + 1), (variant, seed)
    # Again: nothing is trained.
    monkeypatch.setattr("composer.comparing.learning.begin", None)
    again = composer.compare(write(TEXT), data, out=folder, say=quiet)
    assert isinstance(again, Results)
    assert again.trials == results.trials
    with pytest.raises(InputError, match="holds the trials of another comparison"):
        composer.compare(write(TEXT), data, out=folder, sets=["seeds=3"], say=quiet)


def test_a_network_of_the_users_own_is_trained_as_it_is_counted(tmp_path, data):
    (tmp_path / "own.yaml").write_text("backbone: resnet18\nvars: {widths: [4, 4, 4, 4], depths: [1, 1, 1, 1]}\n")
    path = tmp_path / "compare.yaml"
    path.write_text("base: own.yaml\nvariants: {eca: {use: eca, after: block}}\nseeds: 1\ntrain: {steps: 1, batch: 8}")
    found = composer.compare(path, data, out=tmp_path / "out", say=quiet)
    assert isinstance(found, Results)
    for run, row in zip(sorted((tmp_path / "out/trials").iterdir()), found.plan.rows, strict=True):
        record = json.loads((run / "seed-0/run/run.json").read_text())
        assert (record["parameters"], record["macs"]) == (row.parameters, row.macs)
        assert row.graph.root.inputs["input"].shape[2:] == (32, 32)


def test_weights_of_the_users_own_file_start_all_networks(write, data, tmp_path):
    write("")
    save_file(composer.build(tmp_path / "tiny.yaml", seed=5).state_dict(), tmp_path / "tiny.safetensors")
    (tmp_path / "own.yaml").write_text("backbone: tiny.yaml\nvars: {num_classes: 3}\nweights: tiny.safetensors\n")
    text = "base: own.yaml\nvariants: {eca: {use: eca, after: block}}\nseeds: 1\ntrain: {steps: 1, batch: 8}"
    found = composer.compare(write(text), data, out=tmp_path / "deep" / "out", say=quiet)
    assert isinstance(found, Results)
    assert not found.failed
    given = load_file(tmp_path / "tiny.safetensors")
    for run in (tmp_path / "deep/out/trials").iterdir():
        first = load_file(run / "seed-0/run/checkpoints/step-0000000.safetensors")
        assert all(first[name].equal(one) for name, one in given.items() if not name.startswith("head"))


def stem(row):
    return (
        "tiny.yaml"
        if row.arm.kind == "plain"
        else f"tiny.yaml_{'se' if row.arm.kind == 'variant' else ''}"
        + ("" if row.arm.kind == "variant" else control(row))
    )


def control(row):
    (number, other) = row.spec.vars["widths"]
    return f"plain_widths_{number}_{other}"


def test_a_training_that_was_interrupted_goes_on(write, data, tmp_path, monkeypatch):
    folder = tmp_path / "out"
    text = TEXT.replace("control: {wider: true}\n", "").replace("seeds: 2", "seeds: 1")
    whole = composer.compare(write(text), data, out=tmp_path / "whole", say=quiet)
    from composer.comparing import learning

    begin = learning.begin

    def interrupted(*args, **options):
        begin(*args, **options)
        raise KeyboardInterrupt

    monkeypatch.setattr(learning, "begin", interrupted)
    with pytest.raises(KeyboardInterrupt):
        composer.compare(write(text), data, out=folder, say=quiet)
    monkeypatch.setattr(learning, "begin", begin)
    found = composer.compare(write(text), data, out=folder, say=quiet)
    assert isinstance(whole, Results)
    assert isinstance(found, Results)
    assert [one.scores for one in found.trials.values()] == [one.scores for one in whole.trials.values()]


@pytest.mark.parametrize(
    ("train", "words"),
    [
        ("{steps: 4, patience: 2}", "`patience` ends a training early"),
        ("{steps: 4, seed: 3}", "the seed of each run is one of the comparison's"),
        ("{step: 4}", "unknown key `step`"),
        ("{recipe: gone}", "no recipe is called `gone`"),
        ("{optimizer: gone}", "gone"),
    ],
)
def test_a_recipe_that_cannot_be_is_refused_at_its_line(write, data, tmp_path, train, words):
    path = write(TEXT.replace("{steps: 4, batch: 16}", train))
    with pytest.raises(SpecError, match=words) as error:
        composer.compare(path, data, out=tmp_path / "out", say=quiet)
    assert f"{path}:7:" in str(error.value)
    assert not (tmp_path / "out").exists()


def test_too_few_images_for_a_batch_are_said_before_the_first_run(write, data, tmp_path):
    with pytest.raises(InputError, match="fewer than a batch of 512"):
        composer.compare(write(TEXT), data, out=tmp_path / "out", sets=["train.batch=512"], say=quiet)
    assert not (tmp_path / "out").exists()


def test_values_are_refused(write, tmp_path, data):
    from composer.comparing.learning import check_data
    from composer.training.data import open_data

    found = open_data(data)
    check_data(found)
    with pytest.raises(InputError, match="has values to learn"):
        check_data(type(found)(**{**vars(found), "task": "values"}))


def test_images_that_chose_the_epoch_are_not_tested_on(write, tmp_path, data):
    with np.load(data) as found:
        images, labels = found["images"], found["labels"]
    path = tmp_path / "no_test.npz"
    np.savez(path, train_images=images[:90], train_labels=labels[:90], val_images=images[90:], val_labels=labels[90:])
    with pytest.raises(InputError, match="the epoch would be chosen on the images that are tested"):
        composer.compare(write(TEXT), str(path), out=tmp_path / "out", say=quiet)
    assert not (tmp_path / "out").exists()


def test_without_a_folder_nothing_is_trained(write, data):
    with pytest.raises(ValueError, match="out="):
        api.compare(write(TEXT), data)


@pytest.mark.parametrize(
    ("groups", "words"),
    [
        ('[{at: "*.se", lr: 2}]', ["no place is called `*.se`", "this is so in `plain`"]),
        ("[{at: gone, lr: 2}, {at: nowhere, freeze: true}]", ["`gone`", "`nowhere`"]),
        ("[{at: backbone, freeze: true}]", ["the groups freeze all parameters", "this is so in `plain`"]),
    ],
)
def test_groups_that_a_network_does_not_have_are_said_before_the_first_run(write, data, tmp_path, groups, words):
    path = write(TEXT.replace("batch: 16}", f"batch: 16, groups: {groups}}}"))
    with pytest.raises(SpecError) as error:
        composer.compare(path, data, out=tmp_path / "out", say=quiet)
    for one in [*words, f"{path}:7:"]:
        assert one in str(error.value)
    assert not (tmp_path / "out").exists()


def test_what_is_inserted_may_be_a_group_where_nothing_is(write, data, tmp_path):
    path = write(TEXT.replace("batch: 16}", "batch: 16, groups: [{at: inserted, lr: 2}]}"))
    found = composer.compare(path, data, out=tmp_path / "out", sets=["seeds=1"], say=quiet)
    assert isinstance(found, Results)
    assert not found.failed
