"""`composer compare` prints what it compares, and refuses in its words."""

from __future__ import annotations

import pytest

EXAMPLE = "examples/compare/gates.yaml"
TEXT = "base: resnet18\nvariants:\n  se: {use: se, after: branch}\n  out: {use: se, after: nowhere}\n"


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "compare.yaml"
    path.write_text(TEXT)
    return path


def test_the_example_says_what_its_first_lines_promise(run, tmp_path):
    result = run("compare", EXAMPLE, "-o", tmp_path / "out")
    assert result.code == 0, result.err
    assert "it takes" not in result.err
    assert "6 comparisons declared; 9 seeds each" in result.err
    assert (tmp_path / "out" / "report.html").exists()
    assert len(list((tmp_path / "out" / "specs").iterdir())) == 9


def test_it_prints_every_format(run, file):
    text = run("compare", file)
    assert text.code == 0
    assert "8 of 8" in text.out
    assert "no place is called `nowhere`" in text.out
    assert "2 seeds cannot show any difference" in run("compare", file, "--set", "seeds=2").err
    rows = run("compare", file, "--format", "json").json["rows"]
    assert [row["variant"] for row in rows] == ["plain", "se", "out"]
    # 2c²/16 + c/16 + c in each of two blocks of four stages.
    assert rows[1]["parameters"] - rows[0]["parameters"] == sum(
        2 * (2 * c * c // 16 + c // 16 + c) for c in (64, 128, 256, 512)
    )
    assert run("compare", file, "--format", "csv").out.startswith("backbone,variant,kind,parameters,")
    assert run("compare", file, "--format", "md").out.startswith("| # | network |")


def test_mistakes_leave_no_file(run, file, tmp_path):
    file.write_text(TEXT.replace("after: branch", "afer: branch"))
    result = run("compare", file, "-o", tmp_path / "out")
    assert result.code == 1
    assert "compare.yaml:3:17" in result.err
    assert not (tmp_path / "out").exists()
    gone = run("compare", tmp_path / "gone.yaml")
    assert gone.code == 1
    assert "cannot read" in gone.err


def test_what_exists_is_kept_without_force(run, file, tmp_path):
    assert run("compare", file, "-o", tmp_path / "out").code == 0
    again = run("compare", file, "-o", tmp_path / "out")
    assert again.code == 1
    assert "exists" in again.err
    assert run("compare", file, "-o", tmp_path / "out", "--force").code == 0
    (tmp_path / "taken").write_text("")
    assert "taken` is a file" in run("compare", file, "-o", tmp_path / "taken").err
    result = run("compare", file, "-o", "-")
    assert result.code == 2
    assert "`-` is stdout" in result.err


TRAINED = "base: resnet18\nvariants:\n  se: {use: se, after: branch}\nseeds: 1\ntrain: {steps: 1, batch: 8}\n"


def test_it_trains_and_goes_on(run, file, tmp_path, monkeypatch):
    from composer.comparing import learning
    from composer.comparing.trials import Trial

    def learner(data, where, **options):
        return lambda spec, seed, folder: Trial("done", [1.0, "se" in spec.stem], ["a", "b"], [0.5], 1)

    monkeypatch.setattr(learning, "learner", learner)
    file.write_text(TRAINED)
    words = ("compare", file, "--data", "digits", "-o", tmp_path / "out")
    first = run(*words)
    assert first.code == 0, first.err
    assert "se against plain" in first.out
    assert "1 seed cannot show any difference" in first.err
    assert (tmp_path / "out/comparisons.csv").exists()
    assert run(*words, "--format", "json").json["comparisons"][0]["difference"] == 0.5
    assert "was [0], and is [0, 1]" in run(*words, "--set", "seeds=2").err
    plain = run("compare", file, "-o", tmp_path / "out", "--force")
    assert plain.code == 1
    assert "holds the trials of a comparison" in plain.err
    assert run("compare", file, "--data", "digits").code == 2
    assert "there is no data `gone`" in run("compare", file, "--data", "gone", "-o", tmp_path / "other").err
    assert not (tmp_path / "other").exists()
