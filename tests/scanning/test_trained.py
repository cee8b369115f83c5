"""A scan that trains: short paired runs choose, without a test image; fresh seeds report what was chosen."""

from __future__ import annotations

import json

import numpy as np
import pytest

import composer
from composer.comparing import learning
from composer.comparing.trials import Trial
from composer.comparing.untested import without_test
from composer.errors import InputError, SpecError
from composer.scanning.gains import Gain, Gained, ranked
from composer.scanning.trained import TrainedScan, Trainings
from composer.training.data import open_data
from composer.training.run import Run

FIRST, SECOND, THIRD, LAST = ("stages.0.units.0", "stages.0.units.1", "stages.1.units.0", "stages.1.units.1")
# What the mechanism gains at a place, in images of a hundred.
GAINS = {FIRST: 2, SECOND: -1, THIRD: 6, LAST: 3}
RULE = {"use": "se", "with": {"reduction": 2}}


class Learner:
    """Makes up trials: each place adds its gain, but the second place of a pair adds only a part."""

    def __init__(self, gains=GAINS, together=0.5, fail=()):
        self.calls, self.gains, self.together, self.fail = [], gains, together, fail
        self.data = []

    def __call__(self, data, where, **options):
        self.data.append(data)
        return self.trial

    def trial(self, spec, seed, folder):
        found = composer.load_spec(spec)
        places = [place for rule, _ in found.rules for place in rule.selectors]
        self.calls.append((spec.stem, seed))
        if (places, seed) in self.fail:
            raise ValueError("the loss is not finite")
        best, *others = sorted((self.gains[one] for one in places), reverse=True) or [0]
        right = round(50 + best + self.together * sum(others)) + seed
        return Trial("done", [1.0] * right + [0.0] * (100 - right), [f"{one}.png" for one in range(100)], [0.5], 1)


def quiet(text):
    pass


@pytest.fixture
def scan(network, data, tmp_path, monkeypatch):
    """Scans with a made-up learner."""

    def scanned(learner, **options):
        monkeypatch.setattr(learning, "learner", learner)
        found = composer.scan(network, RULE, data, out=tmp_path / "out", **{"fresh": 1, "say": quiet, **options})
        assert isinstance(found, TrainedScan)
        return found

    return scanned


def test_places_are_ranked_by_gain_for_their_cost(scan):
    found = scan(Learner())
    # 76 parameters in the first stage, 280 in the second: 2/76 > 6/280 > 3/280.
    assert [one.site.path for one in found.single] == [FIRST, THIRD, LAST, SECOND]
    assert found.single[0].per("parameters") == pytest.approx(2 / 0.076)
    assert found.single[0].gain.mean == pytest.approx(0.02)
    assert found.single[0].gain.error == pytest.approx(0)


def test_the_best_go_together_while_the_gain_grows(scan, tmp_path):
    learner = Learner()
    found = scan(learner, fresh=6)
    # 2, then 6 + 2/2, then 6 + (3 + 2)/2; at most three.
    assert [[site.path for site in one.sites] for one in found.steps] == [[FIRST], [FIRST, THIRD], [FIRST, THIRD, LAST]]
    assert [round(100 * one.gain.mean) for one in found.steps] == [2, 7, 8]
    assert found.rule["after"] == [FIRST, THIRD, LAST]
    # Two seeds choose, six others report: the choice, the plain network, and one of the same cost.
    choosing = [seed for _, seed in learner.calls if seed < 2]
    assert len(choosing) == 2 * (5 + 2)
    assert len(learner.calls) - len(choosing) == 6 * 3
    assert {seed for _, seed in learner.calls} == set(range(8))
    assert found.results is not None
    assert [pair.kind for pair, _ in found.results.verdicts] == ["plain", "wider"]
    assert "chosen: stages.0.units.0, stages.1.units.0, stages.1.units.1, +8.00" in "\n".join(found.sentences())
    for name in ("scan.html", "scan.csv", "scan.json", "confirm/report.html", "confirm/compare.yaml"):
        assert (tmp_path / "out" / name).stat().st_size > 0
    written = json.loads((tmp_path / "out" / "scan.json").read_text())
    assert written["chosen"]["rule"] == found.rule
    assert len(written["confirmed"]["comparisons"]) == 2


def test_a_place_that_adds_nothing_beside_the_others_is_left_out(scan):
    found = scan(Learner(together=-1))
    assert [[site.path for site in one.sites] for one in found.steps] == [[FIRST], [FIRST, THIRD], [FIRST, THIRD, LAST]]
    assert [one.kept for one in found.steps] == [True, True, False]
    assert found.rule["after"] == [FIRST, THIRD]


def test_what_is_over_the_budget_together_is_passed_over(scan, network):
    plain = composer.compose(network).num_parameters
    found = scan(Learner(), budget={"parameters": plain + 76 + 200})
    assert [one.site.path for one in found.single] == [FIRST, SECOND]
    assert [found.why(site)[:10] for site in found.left] == ["parameters"] * 2
    found = Trainings(seeds=2).words(4)
    assert found.startswith("at most 35 trainings: 10 of 4 places and the plain network, 4 of places together, 21 from")


def test_without_a_gain_nothing_is_chosen(scan, tmp_path):
    learner = Learner(dict.fromkeys(GAINS, -1))
    found = scan(learner)
    assert found.chosen is None
    assert found.rule == {}
    assert len(learner.calls) == 2 * 5
    assert "no place gained by validation" in found.sentences()[-1]
    assert not (tmp_path / "out" / "confirm").exists()


def test_the_same_command_goes_on_and_another_is_refused(scan, network):
    class Interrupted(Learner):
        def trial(self, spec, seed, folder):
            if len(self.calls) == 7:
                raise KeyboardInterrupt
            return super().trial(spec, seed, folder)

    with pytest.raises(KeyboardInterrupt):
        scan(Interrupted())
    rest = Learner()
    found = scan(rest)
    again = Learner()
    assert scan(again).to_json() == found.to_json()
    assert again.calls == []
    assert len(rest.calls) == 2 * (5 + 2) + 3 - 7
    with pytest.raises(InputError, match="holds another scan") as error:
        scan(Learner(), most=2)
    assert "`most` was 3, and is 2" in str(error.value)
    network.write_text(network.read_text().replace("widths: [8, 16]", "widths: [8, 32]"))
    with pytest.raises(InputError, match="networks differ: tiny"):
        scan(Learner())


def test_two_scans_do_not_share_a_folder(scan, tmp_path):
    learner = Learner()
    with Run(tmp_path / "out").alone(), pytest.raises(InputError, match="another process trains in"):
        scan(learner)
    assert learner.calls == []
    assert scan(learner).chosen is not None


def test_trainings_that_all_fail_are_no_losses(scan):
    found = scan(Learner(fail=[([], 0), ([], 1)]))
    assert found.choice().startswith("no place was trained beside the plain network (ValueError: the loss is not")
    assert json.loads(json.dumps(found.to_json(), allow_nan=False))["chosen"] is None


def test_a_folder_of_something_else_is_refused(scan, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "note.txt").write_text("mine")
    with pytest.raises(InputError, match="is not empty, and holds no scan"):
        scan(Learner())


def test_a_failed_training_leaves_its_pair_out_and_is_said(scan):
    found = scan(Learner(fail=[([THIRD], 1)]))
    third = next(one for one in found.single if one.site.path == THIRD)
    assert third.gain.differences == pytest.approx([0.06])
    assert third.gain.error is None
    assert third.gain.failed == "ValueError: the loss is not finite"
    (row,) = [one for one in found.rows() if one["place"] == THIRD]
    assert row["note"] == "ValueError: the loss is not finite"
    found = scan(Learner(fail=[([THIRD], 1)]), retry=True)
    assert next(one for one in found.single if one.site.path == THIRD).gain.failed


def test_some_places_are_evenly_spread(scan):
    found = scan(Learner(), places=2)
    assert {one.site.path for one in found.single} == {FIRST, LAST}
    assert [found.why(site) for site in found.left] == ["not among the 2 places that were trained"] * 2


def test_no_test_image_chooses(scan, data):
    learner = Learner()
    scan(learner)
    choosing, reporting = learner.data
    own = open_data(data)
    names = [own.test.name(index) for index in range(len(own.test))]
    assert [choosing.test.name(index) for index in range(len(choosing.test))] != names
    assert choosing.test is choosing.validation
    assert choosing.fingerprint != own.fingerprint == reporting.fingerprint
    assert [reporting.test.name(index) for index in range(len(reporting.test))] == names


def test_several_at_once_are_the_same_trainings(scan, monkeypatch):
    from composer.comparing import parallel
    from composer.comparing.trials import in_turn

    asked = []

    def at_once(workers, folder, **options):
        asked.append((workers.number, folder.name))
        return in_turn

    monkeypatch.setattr(parallel, "at_once", at_once)
    found = scan(Learner(), parallel=3)
    assert found.rule["after"] == [FIRST, THIRD, LAST]
    assert asked == [(3, "selection"), (3, "confirm")]


def test_gains_without_a_cost_come_first_and_losses_by_themselves():
    def made(gain, added):
        return Gained(None, Gain([gain]), added)  # type: ignore[arg-type]

    free, dear, cheap = made(0.01, 0), made(0.05, 1000), made(0.01, 10)
    small, large, none = made(-0.01, 10), made(-0.02, 1000), Gained(None, Gain([]), 5)  # type: ignore[arg-type]
    assert ranked([large, none, dear, small, cheap, free], "parameters") == [free, cheap, dear, small, large, none]
    assert free.per("parameters") is None


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"seeds": 0}, "`seeds` is 0"),
        ({"places": 0}, "`places` is 0"),
        ({"seeds": []}, "`seeds` names no seed"),
        ({"seeds": [1, 1]}, "`1` is listed twice"),
        ({"seeds": [1, 2], "fresh": [2, 3]}, "the seed 2 chooses places and reports"),
        ({"sets": ["train.patience=2"]}, "`patience` ends a training early"),
        ({"sets": ["train.batch=512"]}, "fewer than a batch of 512"),
        ({"sets": ["train.epoch=2"]}, "unknown key `epoch`"),
    ],
)
def test_mistakes_are_said_before_the_first_training(scan, tmp_path, options, words):
    learner = Learner()
    with pytest.raises((InputError, SpecError)) as error:
        scan(learner, **options)
    assert words in str(error.value)
    assert learner.calls == []
    assert not (tmp_path / "out").exists()


def test_a_recipe_that_ends_early_is_said_with_its_line(network, data, tmp_path):
    network.write_text(network.read_text().replace("{steps: 4, batch: 16}", "\n  epochs: 4\n  patience: 1"))
    with pytest.raises(SpecError, match="a scan trains all to the full length") as error:
        composer.scan(network, RULE, data, out=tmp_path / "out", say=quiet)
    assert f"{network}:{len(network.read_text().splitlines())}:3" in str(error.value)


def test_real_trainings_choose_by_validation(network, data, tmp_path):
    options = {"seeds": 1, "fresh": 1, "places": 1, "epochs": 1, "say": quiet}
    found = composer.scan(network, RULE, data, out=tmp_path / "out", **options)
    assert isinstance(found, TrainedScan)
    own = without_test(open_data(data))
    plain, placed = [
        json.loads((tmp_path / f"out/selection/trials/{name}/seed-0/trial.json").read_text())
        for name in ("tiny.yaml", f"tiny.yaml_after_{THIRD}")
    ]
    assert plain["images"] == [own.validation.name(index) for index in range(len(own.validation))]
    assert found.single[0].gain.mean == pytest.approx(np.mean(placed["scores"]) - np.mean(plain["scores"]))
    assert np.mean(plain["scores"]) == pytest.approx(max(plain["validation"]))
    with pytest.raises(InputError, match="is not the data that"):
        composer.resume(tmp_path / "out/selection/trials/tiny.yaml/seed-0/run", say=quiet)
