"""`composer import`."""

from __future__ import annotations

from pathlib import Path

import pytest

MODELS = Path(__file__).parent / "models"


def test_it_writes_a_spec_that_builds(run, tmp_path):
    target = tmp_path / "net.yaml"
    done = run("import", MODELS / "yolo0n-e2e.yaml", "-o", target)
    assert (done.code, done.out) == (0, "")
    assert done.err.splitlines()[:2] == [f"wrote {target}", "yolo0n-e2e: 52,204 parameters"]
    assert run("validate", target).out == f"{target}: fine, 52,204 parameters\n"
    again = run("import", MODELS / "yolo0n-e2e.yaml", "-o", target)
    assert again.code == 1
    assert "replace it with --force" in again.err


def test_to_stdout_goes_the_spec_alone(run):
    done = run("import", MODELS / "yolo0-cls.yaml", "--scale", "n")
    assert done.out.startswith("# Written by `composer import` from yolo0-cls.yaml, scale n (depth × 0.5,")
    assert done.err == "yolo0n-cls: 31,797 parameters\n"
    assert run("import", MODELS / "yolo0-cls.yaml", "--scale", "n", "-q").err == ""


def test_mistakes_have_their_row(run, tmp_path):
    (tmp_path / "yolo9n.yaml").write_text("backbone:\n  - [-1, 1, Conv, [64, 3, 2]]\nhead:\n  - [-1, 1, Cnov, [64]]\n")
    done = run("import", tmp_path / "yolo9n.yaml", "-o", tmp_path / "net.yaml")
    assert done.code == 1
    assert f"{tmp_path / 'yolo9n.yaml'}:4:13" in done.err
    assert "did you mean `Conv`?" in done.err
    assert not (tmp_path / "net.yaml").exists()


HUGE = 10**50


@pytest.mark.parametrize(
    ("row", "said", "place"),
    [
        ("[-1, 1, Conv, [64, 3, 1, None, 7]]", "64 input channels do not divide into 7 groups", "row 1, model.1.conv"),
        ("[-1, 1, C2f, [64, True, 1, 0.001]]", "expected greater than 0, found 0", "row 1, model.1.cv1.conv"),
        (f"[-1, {HUGE}, Conv, [64]]", "the network has more than 10,000 nodes", "row 1, model.1."),
        (f"[-1, 1, Conv, [{HUGE}]]", "larger than any memory", "row 1, model.1.conv"),
        (f"[-1, 1, Conv, [64, 3, {HUGE}]]", "larger than any memory", "row 1, model.1.conv"),
    ],
)
def test_a_network_that_does_not_compose_is_blamed_on_its_row(run, tmp_path, row, said, place):
    (tmp_path / "yolo9n.yaml").write_text(f"backbone:\n  - [-1, 1, Conv, [64, 3, 2]]\n  - {row}\n")
    done = run("import", tmp_path / "yolo9n.yaml")
    assert (done.code, done.out) == (1, "")
    assert said in done.err
    assert f"{tmp_path / 'yolo9n.yaml'}:3:5" in done.err
    assert f"at: {place}" in done.err


def test_a_network_of_the_zoo_is_a_spec_already(run):
    done = run("import", "resnet50")
    assert done.code == 1
    assert "`resnet50` is a spec of composer's zoo already" in done.err
    assert "`backbone: resnet50`" in done.err


@pytest.mark.parametrize("source", ["timm", "yolo.pt"])
def test_a_source_of_no_known_kind(run, source):
    done = run("import", source)
    assert done.code == 1
    assert f"cannot tell what `{source}` is" in done.err
