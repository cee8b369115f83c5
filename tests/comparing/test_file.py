"""A file of a comparison is checked as a whole: every mistake at once, where it is written."""

from __future__ import annotations

import pytest

from composer.comparing.arms import arms_of
from composer.comparing.costs import Composer
from composer.comparing.file import read_comparison
from composer.errors import SpecError


def problems(path, sets=()):
    with pytest.raises(SpecError) as error:
        examine(read_comparison(path, sets))
    return str(error.value)


def examine(file):
    Composer(file.path).examined(arms_of(file))


def test_every_mistake_of_its_networks_is_said_at_its_line(write):
    path = write(
        """\
base: tiny.yaml
vars: {width: [8]}
variants:
  se: {use: se, afer: branch}
  eca: [{use: eca, after: branch}, {use: eca, after: branch, where: "stag > 1"}]
sweep:
  use: [se, 3]
  after: [branch, stage]
"""
    )
    text = problems(path)
    assert f"--> {path}:2:8\n" in text
    assert "unknown var `width`" in text
    assert "did you mean `widths`" in text
    assert f"--> {path}:4:17\n" in text
    assert "= at: variants.se.afer" in text
    assert f"--> {path}:5:{path.read_text().splitlines()[4].index('stag') + 1}\n" in text
    assert "= at: variants.eca.1.where" in text
    assert f"--> {path}:7:13\n" in text
    assert "`use` is the number 3" in text
    # The base and the value of the axis are in many networks, and said once.
    assert text.count("unknown var `width`") == text.count("the number 3") == 1


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("[1, 2]", "a comparison is a mapping, not a list"),
        ("variants: {se: {use: se, after: branch}}", "neither `base` nor `backbones`"),
        ("base: tiny.yaml", "neither `variants` nor a `sweep`"),
        ("base: tiny.yaml\nbackbones: [tiny.yaml]\nsweep: {use: se, after: branch}", "`base` or `backbones`, not both"),
        ("base: tiny.yaml\nvarants: {}", "unknown key `varants`"),
        ("backbones: [tiny.yaml, tiny.yaml]\nsweep: {use: se, after: branch}", "`tiny.yaml` is listed twice"),
        ("base: gone.yaml\nsweep: {use: se, after: branch}", "there is no file `gone.yaml`"),
        ("base: tiny.yaml\nvariants: {plain: {use: se, after: branch}}", "`plain` is the network without rules"),
        ("base: tiny.yaml\nvariants: {a/b: {use: se, after: branch}}", "`a/b` cannot name a variant"),
        ("base: tiny.yaml\nvariants: {se: []}", "`se` has no rule"),
        ("base: tiny.yaml\nvariants: {se: {}}", "`se` has no rule"),
        ("base: tiny.yaml\nvariants: {se: cbam}", "`se` is the string 'cbam'"),
        ("base: tiny.yaml\nsweep: {use: [se, se], after: branch}", "two variants are called `se`"),
        (
            "base: tiny.yaml\nsweep: {use: se, after: branch}\nbudget: {parameters: 5%}",
            "a share more than the plain network's",
        ),
        ("base: tiny.yaml\nsweep: {use: se, after: branch}\nbudget: {paramters: 5}", "did you mean `parameters`"),
        ("base: tiny.yaml\nsweep: {use: se, after: branch}\nbudget: {macs: -5}", "from 0 on"),
        ("base: tiny.yaml\nsweep: {use: se, after: branch}\ncontrol: {wider: 3}", "true, or the name of a var"),
        ("base: tiny.yaml\nsweep: {use: se, after: branch}\nseeds: 10000000000", "up to 1000"),
        ("base: tiny.yaml\nsweep: {use: se, after: branch}\nseeds: 0", "`seeds` is the number 0"),
        ("base: tiny.yaml\nsweep: {use: se, after: branch}\nseeds: [1, 1]", "`1` is listed twice"),
        ("base: tiny.yaml\nsweep: {use: se, after: []}", "`after` has no value to try"),
        ("base: ../tiny.yaml\nsweep: {use: se, after: branch}", "leaves the spec's own tree"),
    ],
)
def test_a_mistake_is_named(write, text, found):
    assert found in problems(write(text))


def test_a_sweep_is_every_combination(write):
    path = write(
        """\
base: tiny.yaml
sweep:
  - {use: [se, cbam], after: [branch, stage], with: {reduction: [2, 4]}, where: stage >= 1}
  - {use: eca, after: branch, where: [null, "stage == 2"]}
"""
    )
    arms = arms_of(read_comparison(path))
    assert [arm.variant for arm in arms][:3] == [
        "plain",
        "se, after: branch, reduction: 2",
        "se, after: branch, reduction: 4",
    ]
    assert len(arms) == 1 + 8 + 2
    assert arms[1].rules == [{"use": "se", "after": "branch", "with": {"reduction": 2}, "where": "stage >= 1"}]
    assert arms[-2].rules == [{"use": "eca", "after": "branch"}]
    assert arms[-1].values == {"where": "stage == 2"}


def test_a_list_within_an_axis_is_a_value(write):
    path = write("base: tiny.yaml\nsweep: {use: se, after: [[branch, stage], stage]}")
    assert [arm.rules for arm in arms_of(read_comparison(path))][1:] == [
        [{"use": "se", "after": ["branch", "stage"]}],
        [{"use": "se", "after": "stage"}],
    ]


def test_too_many_combinations_are_refused_before_they_are_made(write):
    many = list(range(1000))
    path = write(f"base: tiny.yaml\nsweep: {{use: se, after: branch, every: {many}, with: {{reduction: {many}}}}}")
    assert "the comparison has 1,000,001 networks, and at most 500 may be compared" in problems(path)


def test_settings_change_it(write):
    path = write("base: tiny.yaml\nsweep: {use: se, after: branch}")
    file = read_comparison(path, ["seeds=8", "vars.num_classes=7", "sweep.use=[se, eca]"])
    assert file.content.seed_numbers == [*range(8)]
    assert [arm.variant for arm in arms_of(file)] == ["plain", "se", "eca"]
    assert "`seeds` is the string 'x'" in problems(path, ["seeds=x"])


def test_several_backbones_each_have_all_variants(write):
    path = write("backbones: [tiny.yaml, resnet18]\nvariants: {se: {use: se, after: branch}}")
    assert [arm.key for arm in arms_of(read_comparison(path))] == [
        ("tiny.yaml", "plain"),
        ("tiny.yaml", "se"),
        ("resnet18", "plain"),
        ("resnet18", "se"),
    ]
