"""The SVG: what it says, what it hides from nobody, and that no name can become markup."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree

import pytest

import composer
from composer.dag.sketch import Sketch
from composer.draw.picture import Wish, draw
from composer.draw.svg import render_svg
from composer.draw.theme import DARK, LIGHT, PAPER

HOSTILE = "</script><img src=x onerror=alert(1)>\" ' & ]]> <!-- שלום " + "x" * 200


def svg_of(source, theme="auto", **wish):
    return render_svg(draw(Sketch.of(composer.graph(source)), Wish(**wish)), theme)


def parsed(text):
    return ElementTree.fromstring(text)


def texts(root):
    return ["".join(element.itertext()) for element in root.iter() if element.tag.endswith("}text")]


def boxes(root):
    return {
        element.get("data-path"): element.get("class")
        for element in root.iter()
        if element.get("data-path") is not None
    }


@pytest.fixture(scope="module")
def cbam():
    return svg_of("papers/cbam/resnet50")


def test_what_is_inserted_has_a_colour_a_badge_and_a_line_in_the_legend(cbam):
    root = parsed(cbam)
    assert boxes(root)["layer1.1.cbam"] == "inserted"
    assert boxes(root)["layer1"] == "holds"
    (mechanism,) = (element for element in root.iter() if element.get("data-path") == "layer1.1.cbam")
    assert [badge.text for badge in mechanism.iter() if badge.get("class") == "badge on mid"] == ["1"]
    assert mechanism.find("{*}circle") is not None
    assert "1 · cbam ×3" in texts(root)
    assert "cbam: inserted after branch, 16 places" in texts(root)


def test_shapes_stand_where_they_change(cbam):
    found = texts(parsed(cbam))
    assert found.count("64×112×112") == 1
    assert {"3×224×224", "64×56×56", "256×56×56", "2048×7×7", "1000"} <= set(found)
    # Every wire tells its tensor when it is pointed at.
    assert "<title>bn1 → act1: 64×112×112</title>" in cbam


def test_it_says_what_it_shows_to_those_who_do_not_see_it(cbam):
    root = parsed(cbam)
    assert root.get("role") == "img"
    assert root.get("aria-label") == root.find("{*}title").text == "cbam_resnet50"
    assert "cbam stands after branch in 16 places" in root.find("{*}desc").text


def test_nothing_is_fetched_and_nothing_runs(cbam):
    assert "http" not in cbam.replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"<script|<foreignObject|<image|\bon\w+=|href|url\(|@import", cbam)


def test_themes():
    auto, light, dark, paper = (svg_of("resnet18", theme) for theme in ("auto", "light", "dark", "paper"))
    assert "@media (prefers-color-scheme: dark)" in auto
    assert all("@media" not in text for text in (light, dark, paper))
    for theme, text in ((LIGHT, light), (DARK, dark), (PAPER, paper)):
        assert f".cg .paper{{fill:{theme.paper}}}" in text
        assert all(f"stroke:{line}" in text for _, line in theme.groups.values())
    assert LIGHT.ink in auto
    assert DARK.ink in auto
    assert "convolution" in texts(parsed(light))
    # Where all kinds look alike, the legend has nothing to say of them.
    assert "convolution" not in texts(parsed(paper))


def test_a_style_sheet_for_programs_that_know_little(cbam):
    sheet = parsed(cbam).find("{*}style").text
    assert "var(" not in sheet
    used = set(re.findall(r'class="([^"]*)"', cbam.partition("</style>")[2]))
    classes = {name for names in used for name in names.split()}
    known = set(re.findall(r"\.cg \.([\w-]+)|\.cg (?=text)", sheet)) | set(re.findall(r",\.cg \.([\w-]+)", sheet))
    assert classes - known <= {"figure", "wires", "legend", "problems", "box"}


def test_hostile_names_stay_text():
    spec = {
        "name": HOSTILE,
        "input": [3, 8, 8],
        "nodes": {"n" * 100: {"op": "conv2d", "out_channels": 4, "kernel_size": 1}, "r": "relu"},
        "outputs": {HOSTILE: "r"},
    }
    text = svg_of(spec)
    root = parsed(text)
    assert {element.tag.partition("}")[2] for element in root.iter()} <= {
        *("svg", "title", "desc", "style", "rect", "g", "path", "text", "circle")
    }
    assert root.find("{*}title").text.startswith("</script><img src=x onerror=alert(1)>")
    assert max(map(len, texts(root))) < 120
    assert int(root.get("width")) < 1000


def test_long_names_fit_their_box():
    from composer.draw.text import width

    root = parsed(svg_of({"input": [3, 8, 8], "nodes": {"W" * 100: "relu"}}))
    shown = next(text for text in texts(root) if "W" in text)
    assert "…" in shown
    assert width(shown, 12, bold=True) < 250


def test_more_rules_than_a_block_has_room_for():
    rules = [{"use": name, "after": "branch"} for name in ("se", "eca", "cbam", "ese", "bam")]
    found = texts(parsed(svg_of({"backbone": "resnet18", "attention": rules}, depth=1)))
    assert "1 · se ×2" in found
    assert "+3" in found or "+4" in found
    assert "5 · bam ×2" not in found
    assert "bam: inserted after branch, 8 places" in found


def test_copies_show_as_sheets_and_a_number():
    root = parsed(svg_of("vit_base_patch16_224"))
    (blocks,) = (element for element in root.iter() if element.get("data-path") == "blocks")
    assert blocks.get("data-copies") == "blocks.0 … blocks.11"
    assert [rect.get("class") for rect in blocks.findall("{*}rect")] == ["box"] * 3
    assert "×12" in texts(root)
    assert "so many copies, drawn once" in texts(root)


def test_the_picture_holds_all_its_boxes(cbam):
    root = parsed(cbam)
    width, height = (int(root.get(side)) for side in ("width", "height"))

    def check(element, x, y):
        moved = re.fullmatch(r"translate\((\d+) (\d+)\)", element.get("transform", ""))
        if moved:
            x, y = x + int(moved[1]), y + int(moved[2])
        if element.tag.endswith("}rect"):
            assert 0 <= x + int(element.get("x")) <= x + int(element.get("x")) + int(element.get("width")) <= width
            assert 0 <= y + int(element.get("y")) <= y + int(element.get("y")) + int(element.get("height")) <= height
        for child in element:
            check(child, x, y)

    check(root, 0, 0)


def test_to_the_right_it_is_wide():
    down, right = (parsed(svg_of("resnet18", direction=direction)) for direction in ("TB", "LR"))
    assert int(down.get("width")) < int(down.get("height"))
    assert int(right.get("width")) > int(right.get("height"))
