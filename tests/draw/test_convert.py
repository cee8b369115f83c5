"""PNG and PDF: every character has a form in the font that draws it, and no line is longer than it was measured."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import pytest

import composer
from composer.dag.sketch import Sketch
from composer.draw import convert
from composer.draw.picture import draw
from composer.draw.render import render
from composer.draw.svg import render_svg
from composer.draw.text import size_of
from composer.errors import UnavailableError

pytest.importorskip("cairosvg", exc_type=OSError)


def picture_of(name):
    spec = {"name": name, "input": [3, 8, 8], "nodes": {"act": "relu"}}
    return draw(Sketch.of(composer.graph(spec)))


def lines(picture):
    """Each line of the picture that is converted: its words and its element."""
    root = ElementTree.fromstring(convert._fitted(render_svg(picture, "light"), "png"))
    return {one.text: one for one in root.iter() if one.tag.endswith("}text")}


def family_of(element):
    return element.get("style").partition("font-family:'")[2].partition("'")[0]


@pytest.mark.parametrize("name", ["שלום", "сеть", "δίκτυο"])
def test_a_font_has_the_characters(name):
    drawn = lines(picture_of(name))
    shown = name[::-1] if name == "שלום" else name
    assert convert._lacks(family_of(drawn[shown]), shown) == ""
    assert render(picture_of(name), "png").startswith(b"\x89PNG")


def test_characters_that_no_font_has_are_named(monkeypatch):
    monkeypatch.setattr(convert, "_has", lambda family, character: character.isascii() or character in "×→·")
    with pytest.raises(UnavailableError) as raised:
        render(picture_of("网络"), "pdf")
    assert "no font here has 网 络" in str(raised.value)
    assert ".svg" in str(raised.value)


def test_a_line_that_no_single_font_has_is_drawn_in_parts(monkeypatch):
    def has(family, character):
        return character in {"Noto Sans CJK SC": "网络", "DejaVu Sans": "אב"}.get(family, "abc ·×→" + "\n")

    monkeypatch.setattr(convert, "_font_with", lambda characters: "")
    monkeypatch.setattr(convert, "_has", has)
    svg = (
        '<svg xmlns="http://www.w3.org/2000/svg"><g class="cg">'
        '<text x="100" y="9" class="name mid" textLength="30">a 网络 אב</text></g></svg>'
    )
    root = ElementTree.fromstring(convert._fitted(svg, "png"))
    (line,) = (one for one in root.iter() if one.get("transform"))
    assert [part.text for part in line] == ["a ", "网络", " ", "בא"]
    assert [family_of(part) for part in line][1] == "Noto Sans CJK SC"
    assert {part.get("class") for part in line} == {"name"}
    places = [float(part.get("x")) for part in line]
    assert places == sorted(places)
    assert places[0] == 0


@pytest.mark.parametrize(
    ("read", "seen"),
    [("conv1", "conv1"), ("a אב b", "a בא b"), ("אב גד", "דג בא"), ("אב_2", "בא_2"), ("", "")],
)
def test_what_is_read_from_right_to_left_is_turned_round(read, seen):
    assert convert._as_seen(read) == seen


@pytest.mark.parametrize("family", ["Helvetica", "DejaVu Sans"])
def test_no_line_is_longer_than_it_was_measured(monkeypatch, family):
    monkeypatch.setattr(convert, "FONT", family)
    drawn = lines(draw(Sketch.of(composer.graph("papers/se/resnet50"))))
    assert "global_avg_pool" in drawn
    for words, element in drawn.items():
        size, bold = size_of(element.get("class", ""))
        narrow = float((element.get("transform") or "scale(1 1)").partition("scale(")[2].split()[0])
        most = float(element.get("textLength"))
        assert narrow * convert._length(words, family_of(element), size, bold=bold) <= most + 1.5, words
        # Letters keep their height: text of 7 pt stays so in any font.
        assert "font-size" not in element.get("style")
