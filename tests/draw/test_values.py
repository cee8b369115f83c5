"""Numbers as colours: the scale, what boxes print, and pictures in these colours."""

from __future__ import annotations

import re

import pytest

from composer import graph
from composer.dag.sketch import Sketch
from composer.draw.build import build_view
from composer.draw.picture import Wish, draw, painted
from composer.draw.ramp import RAMP
from composer.draw.svg import render_svg
from composer.draw.tint import tinted
from composer.draw.values import Scale, Values, scale_of
from composer.draw.written import WRITTEN, figures


@pytest.fixture(scope="module")
def view():
    return build_view(Sketch.of(graph("resnet18")))


def values(numbers, **more):
    return Values("mine", "mine", "My number", numbers, **more)


def test_a_scale_is_linear_or_logarithmic():
    assert [Scale(1, 100, log=True).part(one) for one in (1, 10, 100, 0, 1000)] == pytest.approx([0, 0.5, 1, 0, 1])
    assert [Scale(-1, 3, log=False).part(one) for one in (-1, 0, 3, 9)] == pytest.approx([0, 0.25, 1, 1])
    assert Scale(2, 2, log=False).part(2) == 1
    assert Scale(1, 100, log=True).step(100) == len(RAMP) - 1


def test_amounts_that_add_up_have_a_logarithmic_scale_of_five_decades(view):
    found = scale_of([(values({"conv1": 1e9, "fc": 1.0}, adds=True), view)])
    assert found == Scale(1e4, 1e9, log=True)
    assert scale_of([(values({"conv1": 0.0}, adds=True), view)]) is None


def test_other_numbers_have_the_scale_that_they_need(view):
    assert scale_of([(values({"conv1": -1.0, "fc": 3.0}), view)]) == Scale(-1, 3, log=False)
    assert scale_of([(values({"conv1": 0.001, "fc": 3.0}), view)]) == Scale(0.001, 3, log=True)
    assert scale_of([(values({}), view)]) is None
    assert scale_of([(values({"conv1": float("nan"), "fc": None}), view)]) is None


def test_copies_add_up_or_show_their_range():
    box = next(one for one in build_view(Sketch.of(graph("resnet50"))).walk() if one.copies)
    assert box.copies == ("layer1.1", "layer1.2")
    numbers = {"layer1.1": 1.0, "layer1.2": 2.0}
    assert values(numbers, adds=True, unit=" things").told(box) == "3 things"
    assert values(numbers).told(box) == "1 … 2"
    assert values({"layer1.1": 1.0, "layer1.2": 1.0}).told(box) == "1"
    assert values({"layer1.1": 1.0, "layer1.2": None}, adds=True).told(box) == "unknown"
    assert values({"layer1.1": 1.0}).told(box) == "1"
    assert values({}).told(box) is None


def test_a_tint_has_the_words_and_the_colour(view):
    shown = tinted(view, values({"conv1": 1.0, "fc": 2.0, "bn1": None}), Scale(1, 2, log=False))
    tints = {box.path: box.tint for box in shown.boxes}
    assert (tints["conv1"].words, tints["conv1"].look) == ("1", "r0")
    assert tints["fc"].look == f"r{len(RAMP) - 1}"
    assert (tints["bn1"].words, tints["bn1"].look) == ("unknown", "")
    assert tints["maxpool"] is None


def test_an_svg_in_colours():
    sketch = Sketch.of(graph("resnet18"))
    numbers = values({"conv1": 5.0, "fc": 2.0})
    picture = painted(draw(sketch, Wish()), numbers, scale_of([(numbers, build_view(sketch))]))
    text = render_svg(picture, "light")
    fill, ink, dark, _ = RAMP[-1]
    look = f"r{len(RAMP) - 1}"
    assert f".cg .{look}>.box{{fill:{fill}}}.cg .{look}>text:not(.badge){{fill:{ink}}}" in text
    assert re.search(rf'<g class="k-convolution {look}" data-path="conv1"', text)
    assert "My number, linear" in text
    assert dark in render_svg(picture, "auto")
    plain = render_svg(draw(sketch, Wish()), "light")
    assert re.findall(r"<rect[^>]*>", plain)[1:20] == re.findall(r"<rect[^>]*>", text)[1:20], (
        "boxes stay where they are"
    )


def test_own_colours():
    sketch = Sketch.of(graph("resnet18"))
    numbers = values({"conv1": 5.0}, tones={"conv1": ("#ff0000", "#ffffff")})
    text = render_svg(painted(draw(sketch, Wish()), numbers, None), "light")
    assert ".cg .cff0000-ffffff>.box{fill:#ff0000}" in text


def test_numbers_are_written_in_three_figures():
    assert [figures(one) for one in (0.0, -0.0, 1234.0, 0.012345, 1e-9)] == ["0", "0", "1230", "0.0123", "1e-9"]
    assert WRITTEN["count"](25_557_032) == "25.6 M"
    assert WRITTEN["bytes"](1536) == "1.5 KiB"
    assert WRITTEN["seconds"](0.00123) == "1.23 ms"
    assert [WRITTEN["share"](one) for one in (0.0, 1e-6, 0.5)] == ["0 %", "< 0.01 %", "50 %"]


def test_boxes_in_a_stack_tell_of_every_copy(view):
    numbers = {"layer1.0.conv1": 0.0, "layer1.1.conv1": 0.5, "layer1": 0.91}
    found = {box.path: box.tint for box in tinted(view, values(numbers), Scale(0, 1, log=False)).walk()}
    assert found["layer1.0.conv1"].words == "0 … 0.5"
    assert found["layer1.0.conv1"].look == f"r{Scale(0, 1, log=False).step(0.25)}"
    assert found["layer1"].words == "0.91"
    found = {box.path: box.tint for box in tinted(view, values(numbers, adds=True), None).walk()}
    assert found["layer1.0.conv1"].words == "0.5"
    assert scale_of([(values(numbers), view)]) == Scale(0.25, 0.91, log=False)


def test_an_open_block_says_its_number(view):
    picture = painted(draw(Sketch.of(graph("resnet18")), Wish(depth=2)), values({"layer1": 0.91}), None)
    assert ">0.91</text>" in render_svg(picture)
