"""`composer scan` prints places by rank, and points into its own options."""

from __future__ import annotations

import pytest


def test_it_prints_every_format(run):
    text = run("scan", "resnet18", "--use", "se", "--budget", "parameters=+0.5%")
    assert text.code == 0, text.err
    assert text.out.splitlines()[1].split()[:3] == ["1", "layer1.0", "+580"]
    assert "together within the budget, what adds least first: 7 places" in text.err
    options = ("scan", "resnet18", "--use", "se", "--where", "stage >= 3", "--with", "reduction=4")
    rows = run(*options, "--format", "json").json["rows"]
    # 2c²/4 + c/4 + c of 256 and 512 channels.
    assert [row["parameters"] for row in rows] == [c * c // 2 + c // 4 + c for c in (256, 256, 512, 512)]
    assert run(*options, "--format", "csv").out.startswith("place,stage,block,output,fits,parameters,")
    assert run(*options, "--format", "md").out.startswith("| # | place | parameters |")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--use", "sea"), ["unknown mechanism `sea`", "--> --use:1:1", "did you mean `se`?"]),
        (("--use", "se", "--where", "stge > 2"), ["--> --where:1:1", "= at: rule.where"]),
        (("--use", "se", "--with", "reducton=2"), ["--> --with:1:1", "did you mean `reduction`?"]),
        (("--use", "se", "--with", "reduction"), ["cannot read `--with reduction`", "`--with reduction=4`"]),
        (("--use", "se", "--budget", "parameters="), ["cannot read `--budget parameters=`"]),
        (("--use", "se", "--budget", "parameters=5%"), ["--> --budget:1:12", "such as `+5%`"]),
        (("--use", "se", "--set", "name=x"), ["a scan cannot set `name`", "--> --set:1:1"]),
    ],
)
def test_mistakes_point_into_the_options(run, options, words):
    result = run("scan", "resnet18", *options)
    assert result.code == 1
    assert [one for one in words if one not in result.err] == []


def test_one_position_is_given(run):
    result = run("scan", "resnet18", "--use", "se", "--after", "block", "--before", "block")
    assert result.code == 2
    assert "give one of --after, --before, --replace, --beside" in result.err


def test_a_cluster_that_does_not_answer_is_said_before_any_training(run, tmp_path):
    result = run(
        *["scan", "resnet10", "--use", "se", "--data", "digits", "--address", "127.0.0.1:1", "-o"], tmp_path / "out"
    )
    assert result.code == 1
    assert "no Ray cluster answers at `127.0.0.1:1`" in result.err
    assert not (tmp_path / "out").exists()
