"""SVG pictures in a real browser."""

from __future__ import annotations

import pytest
from draw.test_notebook import Sanitizer

import composer
from composer.dag.sketch import Sketch
from composer.draw.picture import Wish, draw
from composer.draw.svg import render_svg

HOSTILE = [
    "</script><img src=x onerror=alert(1)>",
    "\"'`&<b>",
    "\u202eright-to-left\u2066",
    "x" * 200,
    "]]>--><svg onload=alert(2)>",
]


def hostile_spec() -> dict:
    """A network whose names would do harm, were they markup."""
    return {
        "name": HOSTILE[0],
        "input": [3, 8, 8],
        "nodes": {"conv": {"op": "conv2d", "out_channels": 4, "kernel_size": 3}, "x" * 60: "relu"},
    }


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_picture_asks_for_nothing(open_page, tmp_path, scheme):
    file = tmp_path / "se.svg"
    file.write_text(render_svg(draw(Sketch.of(composer.graph("papers/se/resnet50")))), encoding="utf-8")
    opened = open_page(file, color_scheme=scheme)
    assert opened.page.locator("[data-path=layer1]").count() == 1
    opened.assert_quiet()


def test_hostile_names_are_inert(open_page, tmp_path):
    file = tmp_path / "hostile.svg"
    file.write_text(render_svg(draw(Sketch.of(composer.graph(hostile_spec())), Wish())), encoding="utf-8")
    opened = open_page(file)
    opened.assert_quiet()
    assert opened.page.locator("img, script, b").count() == 0


def test_words_fit_their_boxes(open_page, tmp_path):
    """The widths that are reckoned hold for the fonts that a browser takes."""
    file = tmp_path / "cbam.svg"
    file.write_text(render_svg(draw(Sketch.of(composer.graph("papers/cbam/resnet50")))), encoding="utf-8")
    outside = open_page(file).page.evaluate(
        """() => [...document.querySelectorAll('g > rect.box')].flatMap(box => {
            const room = box.getBoundingClientRect();
            return [...box.parentNode.children].filter(one => one.matches('text:not(.badge)'))
                .filter(one => one.getBoundingClientRect().right > room.right + 1)
                .map(one => one.textContent);
        })"""
    )
    assert outside == []


def test_a_cell_that_is_not_trusted_shows_the_picture(open_page, tmp_path):
    """Of a graph's markup, what a notebook's sanitizer leaves is an image that a browser draws."""
    file = tmp_path / "cell.html"
    left = Sanitizer(composer.graph("resnet18")._repr_html_()).kept
    file.write_text(f"<!doctype html><body>{left}", encoding="utf-8")
    opened = open_page(file)
    image = opened.page.locator("img")
    assert image.evaluate("async one => { await one.decode(); return one.naturalWidth; }") > 200
    assert opened.page.locator("body").inner_text().strip() == ""
    opened.assert_quiet()
