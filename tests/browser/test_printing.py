"""Pages on paper, and the page of a look on a phone by keys."""

from __future__ import annotations

import re

import pytest
import torch

import composer
from composer.dag.sketch import Sketch
from composer.page.render import render_page

# What is on the paper while it is printed: boxes, those that are not wholly on it, insets, words, and its colour.
PRINTED = """() => {
    globalThis.printed = null;
    addEventListener("beforeprint", () => {
        const sheet = document.querySelector(".standalone");
        const area = sheet.getBoundingClientRect();
        const boxes = [...sheet.querySelectorAll("rect.box")];
        const isOutside = ({ left, right, top, bottom }) =>
            left < area.left || right > area.right || top < area.top || bottom > area.bottom;
        globalThis.printed = {
            boxes: boxes.length,
            outside: boxes.filter(one => isOutside(one.getBoundingClientRect())).length,
            insets: sheet.querySelectorAll(".insets rect.box").length,
            words: sheet.querySelector(".legend").textContent,
            paper: getComputedStyle(sheet.querySelector(".paper")).fill,
        };
    });
}"""


def num_sheets(paper):
    return len(re.findall(rb"/Type\s*/Page\b", paper))


@pytest.mark.parametrize("scale", [0.5, 3])
@pytest.mark.parametrize("landscape", [False, True])
def test_the_view_with_its_insets_and_legend_is_on_one_sheet(open_page, page_of, scale, landscape):
    opened = open_page(page_of("papers/se/resnet50"), color_scheme="dark")
    page = opened.page
    page.evaluate(f"composer.scene.viewport.set({{ x: -900, y: -700, scale: {scale} }})")
    page.evaluate("composer.store.set({ panel: true, source: true })")
    # The panes that opened have moved the drawing when the next frame is drawn.
    page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    page.evaluate("composer.store.set({ panel: false, source: false, colour: 'parameters' })")
    page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    before = page.evaluate("composer.scene.viewport.get()")
    page.evaluate(PRINTED)
    paper = page.pdf(format="A4", landscape=landscape)
    printed = page.evaluate("printed")
    assert printed["boxes"] > 20
    assert printed["outside"] == 0
    assert printed["insets"] > 5
    assert "se: inserted after branch, 16 places" in printed["words"]
    assert "Parameters, logarithmic" in printed["words"]
    # Paper is light, whatever the screen is.
    assert printed["paper"] == "rgb(255, 255, 255)"
    assert num_sheets(paper) == 1
    # And afterwards the screen is as it was.
    assert page.evaluate("composer.scene.viewport.get()") == before
    assert page.locator(".standalone").count() == 0
    assert page.evaluate("document.documentElement.dataset.theme") == "auto"
    opened.assert_quiet()


def test_what_would_be_too_small_to_read_goes_on_on_further_sheets(open_page, tmp_path):
    nodes = {f"n{one}": "relu" if one % 2 else "gelu" for one in range(120)}
    graph = composer.graph({"name": "long", "input": [3, 8, 8], "nodes": nodes})
    file = tmp_path / "long.html"
    file.write_text(render_page(Sketch.of(graph), graph), encoding="utf-8")
    opened = open_page(file)
    opened.page.evaluate(PRINTED)
    paper = opened.page.pdf(format="A4")
    assert opened.page.evaluate("printed")["boxes"] > 120
    assert num_sheets(paper) > 2
    opened.assert_quiet()


def test_a_look_is_read_by_keys_on_a_phone(open_page, tmp_path):
    torch.manual_seed(0)
    model = composer.build({"backbone": "resnet18", "attention": [{"use": "se", "after": "branch"}]})
    composer.look(model, torch.rand(1, 3, 224, 224)).write(tmp_path / "looked")
    opened = open_page(tmp_path / "looked/index.html", viewport={"width": 360, "height": 700})
    stuck = opened.page.evaluate(
        """() => [...document.querySelectorAll("body *")]
            .filter(one => one.scrollWidth > one.clientWidth + 1 && getComputedStyle(one).overflowX === "auto")
            .map(one => [one.tabIndex, one.getAttribute("role"), one.getAttribute("aria-label")])"""
    )
    assert stuck
    assert all(index == 0 and role == "region" and label for index, role, label in stuck)
    assert len({label for *_, label in stuck}) == len(stuck)
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= 360
    assert opened.grave() == []
    opened.assert_quiet()
