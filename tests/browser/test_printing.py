"""Pages on paper, and the page of a look on a phone by keys."""

from __future__ import annotations

import re

import pytest
import torch

import composer

# Boxes that are not wholly on the paper, while it is printed; and whether something of the screen is.
OUTSIDE = """() => {
    globalThis.printed = null;
    addEventListener("beforeprint", () => {
        const area = document.getElementById("drawing").viewBox.baseVal;
        const boxes = [...document.querySelectorAll("#drawing g[data-path] > rect.box")];
        const inverse = document.getElementById("drawing").getScreenCTM().inverse();
        const outside = boxes.filter(box => {
            const { x, y, width, height } = box.getBBox();
            const place = inverse.multiply(box.getScreenCTM());
            const [left, top] = [place.e + x * place.a, place.f + y * place.d];
            return left < area.x || top < area.y || left + width * place.a > area.x + area.width
                || top + height * place.d > area.y + area.height;
        });
        globalThis.printed = { boxes: boxes.length, outside: outside.length, height: area.height };
    });
}"""


@pytest.mark.parametrize("scale", [0.5, 3])
def test_the_whole_network_is_on_the_paper(open_page, page_of, tmp_path, scale):
    opened = open_page(page_of("papers/se/resnet50"), viewport={"width": 900, "height": 500})
    page = opened.page
    page.evaluate(f"composer.scene.viewport.set({{ x: -900, y: -700, scale: {scale} }})")
    page.evaluate("composer.store.set({ panel: true, source: true })")
    # The panes that opened have moved the drawing when the next frame is drawn.
    page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    before = page.evaluate("composer.scene.viewport.get()")
    page.evaluate(OUTSIDE)
    paper = page.pdf(format="A4")
    printed = page.evaluate("printed")
    assert printed["boxes"] > 10
    assert printed["outside"] == 0
    # 1100 pixels are a sheet of A4.
    assert len(re.findall(rb"/Type\s*/Page\b", paper)) >= printed["height"] / 1100
    # And afterwards the screen is as it was.
    assert page.evaluate("composer.scene.viewport.get()") == before
    assert page.locator("#drawing").get_attribute("viewBox") is None
    page.emulate_media(media="print")
    for name in ("toolbar", "panel", "source", "zoom", "minimap"):
        assert page.locator(f"#{name}").is_hidden()
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
