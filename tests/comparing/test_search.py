"""A search ends what is behind, goes on where it stopped, and what it chose is compared on fresh seeds."""

from __future__ import annotations

import csv
import json
import sys

import pytest
import yaml

from composer.comparing.file import read_comparison
from composer.comparing.trials import Trial
from composer.errors import InputError, SpecError, UnavailableError
from composer.searching.api import search
from composer.searching.attempts import Attempt, Space, best_of, replayed, study_of

TEXT = """\
base: tiny.yaml
variants:
  se: {use: se, after: branch, with: {reduction: 2}}
  eca: {use: eca, after: branch}
search:
  trials: 3
  ranges:
    train.optimizer.lr: {from: 1.0e-4, to: 1.0e-1, log: true}
    train.optimizer.name: [adamw, sgd]
seeds: 2
train: {epochs: 3, batch: 16}
"""


@pytest.fixture
def space(tmp_path, write):
    found = read_comparison(write(TEXT)).content.search
    assert found is not None
    return Space(found, {"se": tmp_path / "se.yaml", "eca": tmp_path / "eca.yaml"}, 7)


def quiet(text):
    pass


def attempt(number, rows, done=True, lr=1e-3):
    values = {"network": "se", "train.optimizer.lr": lr, "train.optimizer.name": "adamw"}
    trial = Trial("done", [1.0], ["a"], rows, 1, {"pruned": float(len(rows) < 3)}) if done else None
    return Attempt(number, values, rows, trial)


def test_what_is_behind_at_the_same_epoch_is_ended_and_what_leads_is_not(space):
    known = [attempt(0, [0.5, 0.6, 0.7]), attempt(1, [0.4, 0.5, 0.5]), attempt(2, [0.3])]
    ends = {
        value: replayed(study_of(space, known, 3), space, attempt(3, [value], done=False))[1]
        for value in (0.2, 0.45, 0.9)
    }
    assert ends == {0.2: True, 0.45: True, 0.9: False}
    # Between two such epochs nothing is ended.
    assert not replayed(study_of(space, known, 3), space, attempt(3, [0.9, 0.1], done=False))[1]


def test_the_same_is_drawn_again_and_another_by_another_number(space):
    known = [attempt(0, [0.5, 0.6, 0.7])]
    drawn = [study_of(space, known, number).ask(space.distributions()).params for number in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]
    assert 1e-4 <= drawn[0]["train.optimizer.lr"] <= 1e-1
    assert drawn[0]["network"] in ("se", "eca")


def test_the_best_of_full_length_is_chosen_by_validation():
    assert best_of([attempt(0, [0.9]), attempt(1, [0.2, 0.8, 0.3]), attempt(2, [0.1, 0.2, 0.8])]).number == 1
    failed = Attempt(0, {}, (), Trial("failed", error="the loss is not finite"))
    with pytest.raises(InputError, match="all trainings of the search failed") as error:
        best_of([failed])
    assert "the loss is not finite" in str(error.value)


def test_a_search_compares_what_it_chose_on_fresh_seeds_and_goes_on(write, data, tmp_path, monkeypatch):
    from composer.searching import attempts as searching

    folder, path, said = tmp_path / "out", write(TEXT), []
    go_on, calls = searching.go_on, []

    def interrupted(run, *args, **options):
        calls.append(run)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return go_on(run, *args, **options)

    monkeypatch.setattr(searching, "go_on", interrupted)
    with pytest.raises(KeyboardInterrupt):
        search(path, data, out=folder, say=quiet)
    drawn = [json.loads((folder / f"search/variants/trial-00{number}/tried.json").read_text()) for number in range(3)]
    found = search(path, data, out=folder, say=said.append)
    # Two were done, and the third goes on with what it had drawn.
    assert len(calls) == 2 + 1 + 1 + 3
    assert [dict(one.values) for one in found.attempts["variants"]] == drawn
    with (folder / "search.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["search"] for row in rows] == ["variants"] * 3 + ["control"] * 3
    plan = found.results.plan
    assert [one.seed_numbers for one in [plan.file.content]] == [[0, 1]]
    assert len(found.results.trials) == 4
    # Each network has the recipe that was found for it, and its full length; the search has another seed.
    for half, trial in (
        ("variants", best_of(found.attempts["variants"])),
        ("control", best_of(found.attempts["control"])),
    ):
        name = next(row.arm.variant for row in plan.running if (row.arm.kind == "variant") == (half == "variants"))
        folders = [one for one in (folder / "trials").iterdir() if (name in one.name) == (half == "variants")]
        recipe = yaml.safe_load((folders[0] / "seed-0/run/recipe.yaml").read_text())
        assert recipe["optimizer"]["lr"] == trial.values["train.optimizer.lr"]
    assert {len(trial.validation) for trial in found.results.trials.values()} == {3}
    assert any("on seed 2, by validation" in one for one in said)
    # No test image was read by the search.
    splits = [json.loads(one.read_text())["data"] for one in folder.glob("search/*/trial-*/run/run.json")]
    assert {one["test"] for one in splits} == {one["validation"] for one in splits}
    page = (folder / "report.html").read_text()
    assert "Nothing was searched" not in page
    assert "3 trainings of" in page
    # Again: nothing is trained; another search is refused.
    monkeypatch.setattr(searching, "go_on", None)
    assert search(path, data, out=folder, say=quiet).results.trials == found.results.trials
    with pytest.raises(InputError, match="holds another search: `search` differ"):
        search(path, data, out=folder, sets=["search.trials=4"], say=quiet)


@pytest.mark.parametrize(
    ("old", "new", "words", "line"),
    [
        ("trials: 3", "trials: 0", "a number above 0", 6),
        ("trials: 3", "trails: 3", "did you mean `trials`", 6),
        ("{from: 1.0e-4, to: 1.0e-1, log: true}", "{from: 1, to: 0}", "1 is not below 0", 8),
        ("{from: 1.0e-4, to: 1.0e-1, log: true}", "{from: 0, to: 1, log: true}", "a range with `log` starts at 0", 8),
        ("{from: 1.0e-4, to: 1.0e-1, log: true}", "{from: 1.0e-4, too: 1.0e-1}", "unknown key `too`", 8),
        ("train.optimizer.lr", "optimizer.lr", "is no field of the recipe", 8),
        ("train.optimizer.lr", "train.epochs", "all trainings have the same full length", 8),
        ("train.optimizer.lr", "train.seed", "`search.seed`", 8),
        ("[adamw, sgd]", "[adamw, adamw]", "`adamw` is listed twice", 9),
        ("[adamw, sgd]", "[[adamw], sgd]", "is a list or a mapping", 9),
        ("seeds: 2", "seeds: [1, 2]\nname: x", None, 0),
        ("trials: 3", "trials: 3\n  seed: 1", "the seed 1 searches and reports", 7),
        ("base: tiny.yaml", "backbones: [tiny.yaml, resnet10]", "a search has one network", 5),
    ],
)
def test_mistakes_are_said_at_their_lines(write, old, new, words, line):
    path = write(TEXT.replace(old, new))
    if words is None:
        assert read_comparison(path).content.search_seed == 3
        return
    with pytest.raises(SpecError) as error:
        read_comparison(path)
    assert words in str(error.value)
    assert f"{path}:{line}:" in str(error.value)


def test_all_mistakes_are_said_at_once(write, data, tmp_path):
    text = (
        TEXT.replace("1.0e-1, log", "-1.0, log").replace("trials: 3", "trials: 3\n  seed: 0").replace("[adamw", "[1, 1")
    )
    with pytest.raises(SpecError) as error:
        read_comparison(write(text))
    assert len(error.value.diagnostics) == 3


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("[adamw, sgd]", "[adamw, gone]", '`train.optimizer.name` cannot be "gone"'),
        ("train.optimizer.lr", "train.optimiser", "unknown key `optimiser`"),
        ("[adamw, sgd]", "[adamw, 3]", "`train.optimizer.name` cannot be 3"),
    ],
)
def test_values_that_a_recipe_cannot_have_are_said_before_the_first_training(write, data, tmp_path, old, new, words):
    with pytest.raises(SpecError) as error:
        search(write(TEXT.replace(old, new)), data, out=tmp_path / "out", say=quiet)
    assert words in str(error.value)
    assert not (tmp_path / "out").exists()


def test_a_file_without_a_search_and_a_folder_with_a_comparison_are_refused(write, data, tmp_path):
    a, b = TEXT.index("search:"), TEXT.index("seeds:")
    with pytest.raises(SpecError, match="the file has no `search`"):
        search(write(TEXT[:a] + TEXT[b:]), data, out=tmp_path / "out", say=quiet)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "report.html").write_text("")
    with pytest.raises(InputError, match="holds a comparison without a search"):
        search(write(TEXT), data, out=tmp_path / "out", say=quiet)


def test_the_missing_extra_is_named(write, data, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(UnavailableError, match="attention-composer\\[sweep\\]"):
        search(write(TEXT), data, out=tmp_path / "out", say=quiet)
