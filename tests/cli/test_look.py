"""`composer look`: its page, its words, and what is wrong with what it is given."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

import composer


@pytest.fixture
def photo(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (48, 60, 3), dtype=np.uint8)
    path = tmp_path / "photo.png"
    Image.fromarray(pixels).save(path)
    return path


def test_writes_a_page_and_prints_what_is_most_notable(run, small, photo, tmp_path):
    result = run("look", small, "--image", photo, "-o", tmp_path / "out")
    assert result.code == 0, result.err
    assert "the network is random (seed 0)" in result.err
    assert f"wrote {tmp_path / 'out' / 'index.html'} and 5 figures beside it" in result.err
    assert result.out.splitlines()[0].split() == ["finding", "sites", "first", "where"]
    assert "its effective receptive field covers" in result.out
    assert len(list((tmp_path / "out").iterdir())) == 6


def test_without_a_folder_it_only_prints(run, small, photo, tmp_path):
    before = sorted(tmp_path.iterdir())
    result = run("look", small, "--image", photo, "--format", "json")
    assert result.code == 0, result.err
    assert result.json["name"] == "small"
    assert result.json["files"] == []
    assert {one["where"] for one in result.json["findings"]} == {"se"}
    assert sorted(tmp_path.iterdir()) == before


def test_is_not_written_over_another(run, small, photo, tmp_path):
    words = ("look", small, "--image", photo, "-o", tmp_path / "out")
    assert run(*words).code == 0
    result = run(*words)
    assert result.code == 1
    assert "exists" in result.err
    assert "--force" in result.err
    assert run(*words, "--force").code == 0


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("--node", "stemm"), 1, "did you mean `stem`"),
        (("--class", "elephant"), 1, "there is no class `elephant`"),
        (("--class", "9"), 1, "a number from 0 to 3, or a name"),
        (("--patch", "0,0"), 1, "no attention between positions"),
        (("--patch", "middle"), 2, "'middle' is not ROW,COLUMN"),
        (("--set", "attention=[]"), 1, "has no attention to look at"),
        (("--keys", "torchvision_resnet"), 2, "there are no weights that --keys could be about"),
    ],
)
def test_what_is_wrong_is_said_with_what_to_do(run, small, photo, tmp_path, words, code, message):
    result = run("look", small, "--image", photo, "-o", tmp_path / "out", *words)
    assert result.code == code
    assert message in result.err
    assert not (tmp_path / "out").exists()


def test_no_image_and_no_such_image(run, small, tmp_path):
    assert run("look", small).code == 2
    result = run("look", small, "--image", tmp_path / "gone.png")
    assert result.code == 1
    assert "there is no image" in result.err


def test_a_missing_extra_is_named(run, small, photo, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "matplotlib", None)
    result = run("look", small, "--image", photo)
    assert result.code == 3
    assert "attention-composer[look]" in result.err


def test_weights_as_in_run_and_nodes_of_ones_own(run, small, photo, tmp_path):
    run("build", small, "--seed", 3, "-o", tmp_path / "built")
    words = (
        "--weights",
        tmp_path / "built" / "small.safetensors",
        "--require",
        "all",
        "--node",
        "stem",
        "--node",
        "se",
    )
    result = run("look", small, "--image", photo, *words, "-o", tmp_path / "out")
    assert result.code == 0, result.err
    page = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    assert "small.safetensors" in page
    assert (tmp_path / "out" / "field-2.png").exists()


def test_pretrained_mobilenet_sees_a_cat(weights, cat):
    look = composer.look(composer.build("papers/cbam/mobilenetv2_100", weights=weights), cat)
    assert sum(one.what == "its attention is computed, and not used" for one in look.findings) == 17
    (section,) = [one for one in look.sections if one.title == "Grad-CAM"]
    assert section.table.rows[0][1] == "class 285, Egyptian cat"
    # γ is 0: attention cannot have moved the field.
    (fields,) = [one for one in look.sections if one.title == "Effective receptive field"]
    with_attention, plain = fields.table.rows
    assert with_attention[2:] == plain[2:]
