"""What is shown, saved as SVG and as PNG."""

from __future__ import annotations

import re
from io import BytesIO
from xml.etree import ElementTree

import pytest
from PIL import Image

import composer
from composer.dag.sketch import Sketch
from composer.page.render import render_page

CBAM = "papers/cbam/resnet50"
SVG = "{http://www.w3.org/2000/svg}"
WIDE = {"width": 1440, "height": 900}


def saved(page, key):
    """The name and the bytes of the file that a key saves."""
    page.locator("#drawing").focus()
    with page.expect_download() as download:
        page.keyboard.press(key)
    return download.value.suggested_filename, download.value.path().read_bytes()


def drawn(markup):
    root = ElementTree.fromstring(markup)
    return root, [one.text for one in root.iter(f"{SVG}text")]


def test_an_svg_needs_nothing_but_itself(open_page, page_of):
    opened = open_page(page_of(CBAM), viewport=WIDE)
    name, markup = saved(opened.page, "s")
    assert name == "cbam_resnet50.svg"
    root, texts = drawn(markup)
    assert {one.tag for one in root.iter()} <= {
        SVG + tag for tag in ("svg", "g", "rect", "path", "circle", "text", "title")
    }
    written = markup.decode()
    assert not re.search(r"var\(|light-dark|class=|style=|href|data-|aria-|<style", written)
    assert "Helvetica" in written
    # The network, the block beside it, and what all of it means.
    assert {"cbam_resnet50", "28.1 M parameters · 3×224×224 → 1000", "conv1", "fc"} <= set(texts)
    assert {"12 of 16 blocks look like this one", "cbam: inserted after branch, 16 places", "convolution"} <= set(texts)
    width, height = (int(root.get(side)) for side in ("width", "height"))
    assert root.get("viewBox") == f"-20 -20 {width} {height}"
    opened.assert_quiet()


def test_what_is_open_coloured_and_chosen_is_so_in_the_file(open_page, page_of):
    opened = open_page(page_of(CBAM), viewport=WIDE, color_scheme="dark", reduced_motion="reduce")
    page = opened.page
    plain = saved(page, "s")[1]
    page.evaluate("composer.store.set({ open: new Set(['layer1', 'layer1.0']), colour: 'macs' })")
    page.evaluate("composer.scene.viewport.set({ x: -5000, y: 300, scale: 0.1 })")
    look = page.evaluate("composer.scene.viewport.get()")
    root, texts = drawn(saved(page, "s")[1])
    assert texts.count("conv1") > drawn(plain)[1].count("conv1")
    assert any(text.startswith("Multiply-accumulates, logarithmic") for text in texts)
    assert "118 M" in texts
    assert root.find(f"{SVG}rect").get("fill") == "rgb(18, 22, 29)"
    # Nothing is lost on the page.
    assert page.evaluate("composer.scene.viewport.get()") == look
    assert page.locator(".standalone").count() == 0
    opened.assert_quiet()


def test_a_png_is_twice_as_large(open_page, page_of):
    opened = open_page(page_of(CBAM), viewport=WIDE)
    markup = saved(opened.page, "s")[1]
    name, body = saved(opened.page, "p")
    assert name == "cbam_resnet50.png"
    image = Image.open(BytesIO(body)).convert("RGB")
    root, _ = drawn(markup)
    assert image.size == tuple(2 * int(root.get(side)) for side in ("width", "height"))
    colours = {colour for _, colour in image.getcolors(1_000_000)}
    # The paper, convolutions, what was inserted, and words.
    assert {(255, 255, 255), (219, 232, 251), (255, 211, 182)} <= colours
    assert min(map(sum, colours)) < 150
    opened.assert_quiet()


def test_the_menu_by_mouse_and_keys(open_page, page_of):
    opened = open_page(page_of(CBAM), viewport=WIDE)
    page = opened.page
    button = page.get_by_role("button", name="Save this view")
    button.click()
    assert button.get_attribute("aria-expanded") == "true"
    assert opened.grave() == []
    page.keyboard.press("ArrowDown")
    assert page.evaluate("document.activeElement.textContent") == "Save as PNGp"
    page.keyboard.press("Escape")
    assert page.get_by_role("menu").count() == 0
    assert page.evaluate("document.activeElement.ariaLabel") == "Save this view"
    page.keyboard.press("Enter")
    with page.expect_download() as download:
        page.keyboard.press("Enter")
    assert download.value.suggested_filename == "cbam_resnet50.svg"
    assert page.locator("#status.shown").inner_text().startswith("cbam_resnet50.svg: ")
    opened.assert_quiet()


@pytest.fixture(scope="module")
def long(tmp_path_factory):
    nodes = {f"n{one}": "relu" if one % 2 else "gelu" for one in range(400)}
    graph = composer.graph({"name": "a/b <c>", "input": [3, 8, 8], "nodes": nodes})
    file = tmp_path_factory.mktemp("page") / "long.html"
    file.write_text(render_page(Sketch.of(graph), graph), encoding="utf-8")
    return file


def test_what_is_too_large_for_a_browser_is_told(open_page, long):
    opened = open_page(long)
    page = opened.page
    page.locator("#drawing").focus()
    page.keyboard.press("p")
    page.locator("#status.shown").wait_for()
    assert re.fullmatch(
        r"No picture was made\. As PNG it would have [\d,]+ × [\d,]+ pixels, more than browsers can draw\. "
        r"Close some blocks, or save it as SVG, which has no such limit\.",
        page.locator("#status").inner_text(),
    )
    name, markup = saved(page, "s")
    assert name == "a_b_c_.svg"
    assert "n399" in drawn(markup)[1]
    opened.assert_quiet()


def test_a_browser_that_cannot_draw_it_is_told_of(open_page, page_of):
    opened = open_page(page_of(CBAM))
    page = opened.page
    page.evaluate("() => { HTMLCanvasElement.prototype.toBlob = done => done(null); }")
    page.locator("#drawing").focus()
    page.keyboard.press("p")
    page.locator("#status.shown").wait_for()
    assert page.locator("#status").inner_text().startswith("No picture was made. The browser could not draw ")
    # It can be tried again at once.
    assert saved(page, "s")[0] == "cbam_resnet50.svg"
    opened.assert_quiet()


def test_what_a_trace_fades_is_faded_in_the_file_and_the_other_network_is_named(open_page, page_of):
    opened = open_page(page_of(CBAM), viewport=WIDE, reduced_motion="reduce")
    page = opened.page

    def faded():
        return [one for one in drawn(saved(page, "s")[1])[0].iter(f"{SVG}text") if one.get("opacity")]

    assert faded() == []
    page.keyboard.press("ArrowDown")
    page.keyboard.press("t")
    assert {"64×112×112", "256×56×56"} <= {one.text for one in faded()}
    page.keyboard.press("Escape")
    page.keyboard.press("b")
    assert "25.6 M parameters · 3×224×224 → 1000 · without attention" in drawn(saved(page, "s")[1])[1]
    opened.assert_quiet()
