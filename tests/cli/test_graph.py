"""`composer graph`: every format to a file or stdout, and pictures of specs with mistakes."""

from __future__ import annotations

import json
import sys
import xml.etree.ElementTree as ElementTree

import pytest
from page.conftest import data_in
from PIL import Image

import composer
from composer.weights.save import save_tensors

BAD_RULE = """\
backbone: resnet18
attention:
  - {use: se, after: branch}
  - {use: mhsa, after: layer4.1.bn2, with: {num_heads: 7}}
"""
BAD_NODE = """\
name: bad_node
input: [3, 8, 8]
nodes:
  stem: {op: conv2d, out_channels: 10, kernel_size: 3}
  wrong: {op: conv2d, out_channels: 10, kernel_size: 3, groups: 3}
  act: relu
"""


def boxes(text):
    root = ElementTree.fromstring(text)
    return {e.get("data-path"): e.get("class") for e in root.iter() if e.get("data-path") is not None}


@pytest.mark.parametrize(
    ("ending", "start"),
    [
        (".svg", "<svg"),
        (".html", "<!doctype html>"),
        (".htm", "<!doctype html>"),
        (".dot", "digraph"),
        (".gv", "digraph"),
        (".mmd", "---\ntitle"),
        (".json", "{"),
        (".tex", "% small, drawn by composer"),
    ],
)
def test_the_ending_is_the_format(run, small, tmp_path, ending, start):
    target = tmp_path / "pictures" / f"small{ending}"
    result = run("graph", small, "-o", target)
    assert (result.code, result.out, result.err) == (0, "", f"wrote {target}\n")
    assert target.read_text(encoding="utf-8").startswith(start)


def test_pdf_and_png(run, small, tmp_path):
    pytest.importorskip("cairosvg", exc_type=OSError)
    for ending, start in ((".png", b"\x89PNG"), (".pdf", b"%PDF")):
        assert run("graph", small, "-o", tmp_path / f"small{ending}").code == 0
        assert (tmp_path / f"small{ending}").read_bytes().startswith(start)


def test_without_the_extra_the_exit_code_is_3(run, small, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "cairosvg", None)
    result = run("graph", small, "-o", tmp_path / "small.png")
    assert result.code == 3
    assert "attention-composer[draw]" in result.err
    assert not list(tmp_path.glob("*.png"))


def test_stdout_gets_what_is_asked_for(run, small):
    assert boxes(run("graph", small).out)["se"] == "inserted"
    assert "flowchart TB" in run("graph", small, "--format", "mmd", "-o", "-").out
    assert json.loads(run("graph", small, "--format", "json", "-o", "-").out)["name"] == "small"


def test_a_figure_for_a_paper_has_the_width_it_is_asked_for(run, tmp_path):
    target = tmp_path / "figure.svg"
    assert run("graph", "resnet18", "--width", "8cm", "-o", target).code == 0
    assert ElementTree.parse(target).getroot().get("width") == "8cm"
    for words, told in (
        (["--width", "1cm", "-o", "x.svg"], "does not fit 1cm"),
        (["--width", "8", "-o", "x.svg"], "`8` is no width"),
        (["--width", "8cm", "-o", "x.html"], "not html"),
        (["--width", "8cm", "--direction", "LR", "-o", "x.svg"], "leave out `--direction`"),
    ):
        result = run("graph", "resnet18", *words)
        assert result.code != 0
        assert told in " ".join(result.err.split())


def test_a_figure_for_a_paper_shows_no_mistakes(run, tmp_path):
    (tmp_path / "bad.yaml").write_text(BAD_NODE, encoding="utf-8")
    result = run("graph", tmp_path / "bad.yaml", "--width", "8cm", "-o", tmp_path / "bad.svg")
    assert result.code == 1
    assert "groups" in result.err
    assert not (tmp_path / "bad.svg").exists()


def test_options_change_the_picture(run, tmp_path):
    def drawn(*words):
        target = tmp_path / "x.svg"
        assert run("graph", "papers/se/resnet50", *words, "--force", "-o", target).code == 0
        return target.read_text(encoding="utf-8")

    assert "layer1.1.se" in boxes(drawn())
    assert "layer1.1.se" not in boxes(drawn("--no-insets"))
    assert "layer3.1.se" in boxes(drawn("--depth", 3))
    assert next(iter(boxes(drawn("--select", "layer3.0", "--depth", 1)))) == "layer3.0"
    assert list(boxes(drawn("--select", "conv1"))) == ["in:input", "conv1", "out:bn1"]
    assert list(boxes(drawn("--select", "conv1", "--width", "8cm"))) == ["in:input", "conv1", "out:bn1"]
    assert "@media" not in drawn("--theme", "dark")
    tall, wide = (ElementTree.fromstring(drawn("--direction", way)) for way in ("TB", "LR"))
    assert int(wide.get("width")) > int(tall.get("width"))
    assert "linear, 12" in drawn("--set", "vars.num_classes=12")


def test_an_existing_file_stays_without_force(run, small, tmp_path):
    target = tmp_path / "small.svg"
    target.write_text("mine")
    result = run("graph", small, "-o", target)
    assert result.code == 1
    assert "--force" in result.err
    assert target.read_text() == "mine"
    assert run("graph", small, "-o", target, "--force", "-q").err == ""
    assert target.read_text().startswith("<svg")
    assert [path.name for path in tmp_path.iterdir() if "small.svg" in path.name] == ["small.svg"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["-o", "x.jpeg"], "`x.jpeg` ends in no format that is known"),
        (["-o", "x"], "`x` names no format"),
        (["--format", "sgv"], "did you mean `svg`?"),
    ],
)
def test_an_unknown_format_names_the_known_ones(run, small, tmp_path, monkeypatch, words, said):
    monkeypatch.chdir(tmp_path)
    result = run("graph", small, *words)
    assert result.code == 1
    assert said in result.err
    assert "`svg`, `html`, `dot`, `mmd`, `json`, `png`, `pdf`" in result.err
    assert not (tmp_path / "x").exists()


def test_a_format_may_be_asked_for_by_any_of_its_endings(run, small):
    for other, word in (("tikz", "tex"), ("mermaid", "mmd"), ("gv", "dot"), ("htm", "html"), ("SVG", "svg")):
        assert run("graph", small, "--format", other, "-o", "-").out == run("graph", small, "--format", word).out


def test_a_page_is_written_whole_or_not_at_all(run, small, tmp_path):
    target = tmp_path / "small.html"
    target.write_text("mine")
    assert run("graph", small, "-o", target).code == 1
    assert target.read_text() == "mine"
    assert run("graph", small, "--select", "stam", "--force", "-o", target).code == 1
    assert target.read_text() == "mine"
    assert run("graph", small, "--force", "-q", "-o", target).err == ""
    assert target.read_text(encoding="utf-8").rstrip().endswith("</html>")
    assert [path.name for path in tmp_path.glob(".*")] == []


def test_options_change_the_page(run, small):
    def data(*words):
        page = run("graph", small, "--format", "html", *words).out
        return data_in(page)

    assert data("--direction", "LR")["direction"] == "LR"
    assert data("--set", "vars.width=16")["facts"]["composed"]["stem"]["parameters"] == 3 * 16 * 9
    assert "--paper:#12161d" in run("graph", small, "--format", "html", "--theme", "dark").out


def test_a_page_shows_measured_time_where_it_is_asked_for(run, small, tmp_path):
    target = tmp_path / "small.html"
    result = run("graph", small, "--time", 1, "--device", "cpu", "-o", target)
    assert (result.code, "measuring 1 run of `small` on cpu" in result.err) == (0, True)
    page = target.read_text(encoding="utf-8")
    data = data_in(page)
    assert all(facts["seconds"] > 0 for facts in data["facts"]["composed"].values())
    assert data["networks"][0]["facts"]["seconds"] > 0


def test_a_picture_is_coloured_by_time(run, small, tmp_path):
    """Measured, or read from a file; asked for by nothing but its name, it is told how to get it."""
    times = {"nodes": {"small": dict.fromkeys(("bn", "se", "pool", "fc"), 0.002) | {"stem": 0.5}}}
    (tmp_path / "times.json").write_text(json.dumps(times))
    for words in (["--time", 1, "--device", "cpu"], ["--color", tmp_path / "times.json", "--color-by", "time"]):
        result = run("graph", small, *words, "-o", "-")
        assert result.code == 0
        assert " r" in boxes(result.out)["stem"]
        assert "Measured time of each operation, logarithmic" in result.out
    assert ">500 ms<" in result.out
    for number, option in (("time", "--time RUNS"), ("mean", "--image PATH"), ("distance", "--against SOURCE")):
        result = run("graph", small, "--color-by", number, "-o", tmp_path / "small.svg")
        assert (result.code, option in result.err) == (1, True)
    for words in (["--format", "dot"], ["-o", tmp_path / "x.svg", "--width", "8cm"]):
        result = run("graph", small, "--time", 1, *words)
        assert (result.code, "numbers colour a page or a picture" in " ".join(result.err.split())) == (2, True)


def test_wrong_words_are_usage_errors(run, small):
    for words in (["--depth", "0"], ["--direction", "UP"], ["--theme", "pink"]):
        assert run("graph", small, *words).code == 2


def test_a_selection_of_nothing_writes_nothing(run, small, tmp_path):
    result = run("graph", small, "--select", "stam", "-o", tmp_path / "x.svg")
    assert result.code == 1
    assert "did you mean `stem`" in result.err
    assert not (tmp_path / "x.svg").exists()


def test_a_failing_node_is_red_and_says_why(run, tmp_path):
    spec, target = tmp_path / "bad.yaml", tmp_path / "bad.svg"
    spec.write_text(BAD_NODE)
    result = run("graph", spec, "-o", target)
    assert result.code == 1
    assert f"wrote {target}" in result.err
    assert "do not divide into 3 groups" in result.err
    text = target.read_text(encoding="utf-8")
    found = boxes(text)
    assert (found["stem"], found["wrong"], found["act"]) == ("k-convolution", "failed", "unreached")
    assert "channels do not divide" in text
    assert "has a mistake" in text
    assert "bad.yaml:5:3" in text


def test_a_rule_that_does_not_fit_marks_its_place(run, tmp_path):
    spec, target = tmp_path / "bad.yaml", tmp_path / "bad.json"
    spec.write_text(BAD_RULE)
    assert run("graph", spec, "-o", target).code == 1
    found = json.loads(target.read_text(encoding="utf-8"))
    assert found["graph"] is None
    assert [problem["path"] for problem in found["problems"]] == ["layer4.1.bn2"]
    assert run("graph", spec, "-o", tmp_path / "bad.svg").code == 1
    drawn = boxes((tmp_path / "bad.svg").read_text(encoding="utf-8"))
    # It is opened down to the mistake, and the rule that fits is there.
    assert drawn["layer4.1.bn2"] == "failed"
    assert drawn["layer4.1.se"] == "inserted"
    assert drawn["layer1"] == "holds"


@pytest.mark.parametrize("ending", [".dot", ".mmd", ".html"])
def test_mistakes_show_in_every_format(run, tmp_path, ending):
    spec, target = tmp_path / "bad.yaml", tmp_path / f"bad{ending}"
    spec.write_text(BAD_NODE)
    assert run("graph", spec, "-o", target).code == 1
    assert "divide" in target.read_text(encoding="utf-8")


@pytest.mark.parametrize("ending", [".svg", ".dot", ".mmd", ".json", ".html"])
def test_a_text_that_makes_no_network_is_a_picture_of_its_mistakes(run, tmp_path, ending):
    spec, target = tmp_path / "bad.yaml", tmp_path / f"bad{ending}"
    spec.write_text("backbone: resnet18\natention: []\nvars: {num_clases: 3}\n")
    result = run("graph", spec, "-o", target)
    assert result.code == 1
    assert "did you mean `attention`" in result.err
    text = target.read_text(encoding="utf-8")
    assert "unknown key" in text
    assert "line 2" in text


def test_without_a_file_such_a_text_is_only_an_error(run, tmp_path):
    spec = tmp_path / "bad.yaml"
    spec.write_text("backbone: resnet18\natention: []\n")
    assert run("graph", spec).out == ""
    assert run("graph", tmp_path / "gone.yaml", "-o", tmp_path / "gone.svg").code == 1
    assert run("graph", "resnet_50", "-o", tmp_path / "gone.svg").code == 1
    assert not (tmp_path / "gone.svg").exists()


@pytest.mark.parametrize("ending", [".svg", ".dot", ".mmd", ".json", ".tex", ".html"])
@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("composer_made_nothing:boom", "RuntimeError: boom inside"),
        ("composer_made_nothing:number", "an object of type `int`"),
        ({"backbone": {"python": "composer_made_nothing:boom"}}, "RuntimeError: boom inside"),
        ({"nodes": {"act": "relu"}}, "the network has no `input`"),
    ],
)
def test_where_nothing_can_be_drawn_a_picture_stays(run, tmp_path, monkeypatch, spec, said, ending):
    (tmp_path / "composer_made_nothing.py").write_text(
        "def boom(): raise RuntimeError('boom inside')\n\n\ndef number(): return 7\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    if isinstance(spec, dict):
        (tmp_path / "none.yaml").write_text(json.dumps(spec))
        spec = tmp_path / "none.yaml"
    target = tmp_path / f"good{ending}"
    target.write_text("the old one")
    result = run("graph", spec, "--allow-code", "-o", target, "--force")
    assert (result.code, result.out) == (1, "")
    assert said in result.err
    assert "wrote" not in result.err
    assert target.read_text() == "the old one"


def test_the_mistake_of_a_model_that_cannot_be_made_is_drawn_in_a_new_file(run, tmp_path):
    spec = tmp_path / "none.yaml"
    spec.write_text("backbone: {python: 'collections:namedtuple'}\n")
    for ending in ("svg", "html"):
        target = tmp_path / f"none.{ending}"
        result = run("graph", spec, "--allow-code", "-o", target)
        assert (result.code, "cannot be made" in result.err) == (1, True)
        assert "cannot be made" in target.read_text(encoding="utf-8")


def test_too_large_a_network_says_so_on_the_picture(run, tmp_path):
    result = run("graph", "resnet18", "--max-nodes", 10, "-o", tmp_path / "x.svg")
    assert result.code == 1
    assert "more than 10 nodes" in (tmp_path / "x.svg").read_text(encoding="utf-8")


def test_numbers_of_nodes_colour_pictures(run, small, tmp_path):
    target, values = tmp_path / "small.svg", tmp_path / "mine.json"
    name = next(one for one in boxes(run("graph", small, "-o", "-").out) if ":" not in one)
    values.write_text(json.dumps({"results": {name: {"value": 0.25}}}), encoding="utf-8")
    assert run("graph", small, "-o", target, "--values", values).code == 0
    assert " r" in boxes(target.read_text(encoding="utf-8"))[name]
    assert ">0.25<" in target.read_text(encoding="utf-8")
    values.write_text(json.dumps({"results": {f"{name}x": {"value": 0.25}}}), encoding="utf-8")
    result = run("graph", small, "-o", target, "--values", values, "--force")
    assert result.code == 1
    assert f"did you mean `{name}`?" in result.err


def test_what_cannot_be_coloured(run, small, tmp_path):
    result = run("graph", small, "-o", tmp_path / "small.dot", "--color-by", "macs")
    assert result.code == 2
    assert "numbers colour a page or a picture" in " ".join(result.err.split())
    result = run("graph", small, "-o", tmp_path / "small.svg", "--color-by", "mcas")
    assert result.code == 1
    assert "did you mean `macs`?" in result.err
    result = run("graph", small, "-o", tmp_path / "small.svg", "--weights", "some.safetensors")
    assert result.code == 2


def test_a_page_of_photographs_and_weights(run, small, tmp_path):
    photo, target, weights = tmp_path / "photo.png", tmp_path / "small.html", tmp_path / "weights.safetensors"
    Image.new("RGB", (40, 40), "teal").save(photo)
    save_tensors(composer.build(small, seed=1).state_dict(), weights)
    options = ("--image", photo, "--weights", weights, "--against", "seed")
    result = run("graph", small, "-o", target, *options)
    assert result.code == 0, result.err
    data = data_in(target.read_text(encoding="utf-8"))
    modes = {mode["key"]: mode for mode in data["modes"]}
    assert {"distance", "mean", "std", "zeros", "dead"} <= set(modes)
    assert data["colour"] == "distance"
    assert set(modes["std"]["numbers"]) <= set(data["facts"]["composed"])
    assert data["histograms"]
    text = target.read_text(encoding="utf-8")
    assert run("graph", small, "-o", target, *options, "--force").code == 0
    assert target.read_text(encoding="utf-8") == text, "the same bytes each time"


def test_of_a_network_with_mistakes_there_is_a_picture_in_its_usual_colours(run, tmp_path):
    spec, target = tmp_path / "bad.yaml", tmp_path / "bad.svg"
    spec.write_text(BAD_NODE)
    result = run("graph", spec, "-o", target, "--color-by", "macs")
    assert result.code == 1
    assert "groups" in result.err
    assert boxes(target.read_text(encoding="utf-8"))["wrong"] == "failed"
