"""Trials are run once, seed by seed; failed ones are counted; what was declared does not change afterwards."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest

import composer
from composer.comparing.file import read_comparison
from composer.comparing.findings import score_cells
from composer.comparing.plan import make_plan
from composer.comparing.results import Results
from composer.comparing.runner import declare, run_trials, trial_folder
from composer.comparing.trials import Trial, read_trial
from composer.comparing.write import write_results
from composer.errors import Diagnostic, InputError

TEXT = """\
base: tiny.yaml
variants:
  good: {use: eca, after: branch}
  same: {use: eca, after: stage}
  out: {use: se, after: nowhere}
seeds: 7
"""
IMAGES = [f"{number}.png" for number in range(200)]


class Learner:
    """Makes up trials: `good` is right on more images than the plain network, by `by`; some fail."""

    def __init__(self, fail=(), by=0.1):
        self.calls, self.fail, self.by = [], fail, by

    def __call__(self, spec, seed, folder):
        assert composer.load_spec(spec).rules or spec.stem == "tiny.yaml"
        name = spec.stem.removeprefix("tiny.yaml").strip("_") or "plain"
        self.calls.append((name, seed))
        if (name, seed) in self.fail:
            raise ValueError("the loss is not finite")
        draw = np.random.default_rng(seed).random(len(IMAGES)) * 0.9 + 0.1 * np.random.default_rng(99).random(
            len(IMAGES)
        )
        scores = (draw < (0.6 + self.by if name == "good" else 0.6)).astype(float).tolist()
        return Trial("done", scores, IMAGES, [0.4, 0.6, 0.5], 2, {"seconds": 1.5})


@pytest.fixture
def plan(write):
    return make_plan(read_comparison(write(TEXT)))


def ran(plan, folder, learner, data=None, **options):
    declare(plan, folder, data or {"fingerprint": "x"})
    return Results(plan, run_trials(plan, folder, learner, **options))


def test_every_run_is_made_once_and_by_seeds(plan, tmp_path):
    first, again = Learner(), Learner()
    results = ran(plan, tmp_path / "out", first)
    assert first.calls == [(name, seed) for seed in range(7) for name in ("plain", "good", "same")]
    assert ran(plan, tmp_path / "out", again).trials == results.trials
    assert again.calls == []


def test_a_difference_that_is_there_is_shown_and_one_that_is_not_is_not(plan, tmp_path):
    results = ran(plan, tmp_path / "out", Learner())
    (good, one), (same, other) = results.verdicts
    assert (good.variant, one.word) == ("good", "shown")
    assert (same.variant, other.word) == ("same", "not shown")
    assert one.corrected == pytest.approx(2 * 2 / 2**7)
    assert one.images is not None
    assert one.images.leaves_out_zero
    assert results.sentences() == [
        "21 runs, 0 failed",
        "each network was tested once on 200 images",
        "shown to be better: good against plain",
    ]


def test_an_interrupted_comparison_goes_on_where_it_stopped(plan, tmp_path):
    class Interrupted(Learner):
        def __call__(self, spec, seed, folder):
            if len(self.calls) == 5:
                raise KeyboardInterrupt
            return super().__call__(spec, seed, folder)

    with pytest.raises(KeyboardInterrupt):
        ran(plan, tmp_path / "out", Interrupted())
    rest = Learner()
    results = ran(plan, tmp_path / "out", rest)
    assert len(rest.calls) == 21 - 5
    assert results.trials == ran(plan, tmp_path / "other", Learner()).trials


def test_a_failed_trial_is_counted_and_leaves_its_pair_out(plan, tmp_path):
    fail = [("plain", 2), ("good", 4)]
    results = ran(plan, tmp_path / "out", Learner(fail))
    assert [one.pairs for _, one in results.verdicts] == [5, 6]
    assert results.sentences()[:2] == ["21 runs, 2 failed", "2 failed: ValueError: the loss is not finite"]
    errors = {(row["variant"], row["seed"]): row["error"] for row in results.runs() if row["status"] == "failed"}
    assert errors == dict.fromkeys(fail, "ValueError: the loss is not finite")
    still = Learner(fail)
    assert ran(plan, tmp_path / "out", still).failed
    assert still.calls == []
    mended = Learner([("good", 4)])
    retried = ran(plan, tmp_path / "out", mended, retry=True)
    assert mended.calls == [*fail]
    assert [(trial.status, trial.attempts) for _, trial in retried.failed] == [("failed", 2)]


def test_an_error_of_composer_is_a_sentence(plan, tmp_path):
    def refuses(spec, seed, folder):
        raise InputError(Diagnostic("batch", "there are 3 training images, fewer than a batch of 8"))

    results = ran(plan, tmp_path / "out", refuses)
    why = "21 failed: there are 3 training images, fewer than a batch of 8"
    assert results.sentences() == ["21 runs, 21 failed", why, "no difference is shown"]
    assert {trial.error for trial in results.trials.values()} == {
        "there are 3 training images, fewer than a batch of 8"
    }
    assert [str(one) for _, one in results.verdicts] == ["not shown: no seed was finished by both"] * 2
    write_results(results, tmp_path / "out")


def test_many_reasons_are_not_all_told(plan, tmp_path):
    def refuses(spec, seed, folder):
        raise ValueError(f"reason {seed}")

    found = ran(plan, tmp_path / "out", refuses).sentences()
    assert found[1:5] == [*(f"3 failed: ValueError: reason {seed}" for seed in range(3)), "and 4 other reasons"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("seeds: 7", "seeds: 8"), "`seeds` was [0, 1, 2, 3, 4, 5, 6], and is [0, 1, 2, 3, 4, 5, 6, 7]"),
        (
            ("use: eca, after: stage", "use: cbam, after: stage, with: {reduction: 2}"),
            "`tiny.yaml_same.yaml` was another",
        ),
        (("  same: {use: eca, after: stage}\n", ""), "`tiny.yaml_same.yaml` was declared, and is no longer"),
        (("seeds: 7", "seeds: 7\ntrain: {epochs: 3}"), '`train` was null, and is {"epochs": 3}'),
    ],
)
def test_another_plan_is_refused_with_the_difference(write, tmp_path, change, words):
    ran(make_plan(read_comparison(write(TEXT))), tmp_path / "out", Learner())
    other = make_plan(read_comparison(write(TEXT.replace(*change))))
    learner = Learner()
    with pytest.raises(InputError) as error:
        ran(other, tmp_path / "out", learner)
    assert "holds the trials of another comparison" in str(error.value)
    assert words in str(error.value)
    assert learner.calls == []


def test_other_data_is_refused(plan, tmp_path):
    ran(plan, tmp_path / "out", Learner())
    with pytest.raises(InputError, match="`data` was"):
        ran(plan, tmp_path / "out", Learner(), {"fingerprint": "y"})


def test_trials_of_other_images_do_not_pair(plan, tmp_path):
    def other(spec, seed, folder):
        found = Learner()(spec, seed, folder)
        return found if seed < 2 else Trial("done", found.scores, [*IMAGES[1:], "new.png"])

    with pytest.raises(InputError, match="`plain`, seed 2, was tested on other images than `plain`, seed 0,"):
        ran(plan, tmp_path / "out", other)


def test_a_damaged_record_is_said(plan, tmp_path):
    ran(plan, tmp_path / "out", Learner())
    own = trial_folder(tmp_path / "out", "tiny.yaml.yaml", 3)
    assert read_trial(own) is not None
    (own / "trial.json").write_text("{")
    with pytest.raises(InputError, match=r"cannot read `.*trial\.json`: it is no record of a trial"):
        ran(plan, tmp_path / "out", Learner())


def test_a_comparison_without_a_variant_says_why(write, tmp_path):
    plan = make_plan(read_comparison(write("base: tiny.yaml\nvariants: {out: {use: se, after: nowhere}}")))
    with pytest.raises(InputError) as error:
        ran(plan, tmp_path / "out", Learner())
    assert "has no comparison to run" in str(error.value)
    assert "`out`: no place is called `nowhere`" in str(error.value)
    assert not (tmp_path / "out").exists()


def test_the_folder_has_every_run(plan, tmp_path):
    folder = tmp_path / "out"
    results = ran(plan, folder, Learner([("good", 4)]))
    write_results(results, folder)
    rows = list(csv.DictReader(io.StringIO((folder / "runs.csv").read_text())))
    assert len(rows) == 21
    assert len((folder / "curves.csv").read_text().splitlines()) == 1 + 3 * 20
    found = json.loads((folder / "results.json").read_text())
    assert [one["verdict"] for one in found["comparisons"]] == [one.word for _, one in results.verdicts]
    assert "no effect" not in (folder / "report.html").read_text()
    # Again, over what is there.
    write_results(results, folder)


def test_a_network_that_guesses_is_named(plan, tmp_path):
    results = ran(plan, tmp_path / "out", Learner(by=-0.55))
    assert results.guessing == ["good"]
    assert any(one.startswith("no better than guessing: good;") for one in results.sentences())
    names = [row[0] for row in score_cells(results)]
    assert names == ["plain", "good", "same"]
    assert float(score_cells(results)[1][2].removesuffix(" %")) < 10
