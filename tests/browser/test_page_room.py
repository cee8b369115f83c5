"""What lies over a canvas leaves the drawing in sight: at first, where something opens, and where it is selected."""

from __future__ import annotations

from functools import cache

import pytest

import composer
from composer import diff
from composer.dag.sketch import Sketch
from composer.page.comparison import render_difference
from composer.page.render import render_page

COMPARED = {
    "cbam": ("resnet50", "papers/cbam/resnet50"),
    "deeper": ("resnet18", "resnet34"),
    "dense": ("resnet50", "densenet121"),
}

# Boxes of the main canvas that are whole in it, and of those the ones that something lies over.
SEEN = """() => {
    const canvas = document.querySelector("#canvas").getBoundingClientRect();
    const covers = [...document.querySelectorAll("#canvas .over, #minimap:not(.gone)")]
        .filter(one => one.checkVisibility()).map(one => one.getBoundingClientRect());
    const [whole, covered] = [[], []];
    for (const one of document.querySelectorAll("#drawing :is([data-path], [data-inset])")) {
        if (one.querySelector("[data-path], [data-inset]")) continue;
        const area = one.querySelector(".box").getBoundingClientRect();
        const name = one.dataset.path ?? one.dataset.inset;
        const isIn = area.left >= canvas.left && area.right <= canvas.right
            && area.top >= canvas.top && area.bottom <= canvas.bottom;
        const isUnder = covers.some(its => area.left < its.right && its.left < area.right
            && area.top < its.bottom && its.top < area.bottom);
        if (isIn) (isUnder ? covered : whole).push(name);
    }
    return [whole, covered];
}"""


@pytest.fixture(scope="module")
def file_of(tmp_path_factory):
    @cache
    def made(name):
        file = tmp_path_factory.mktemp("page") / "page.html"
        graph = None if name in COMPARED else composer.graph(name)
        text = render_page(Sketch.of(graph), graph) if graph else render_difference(diff(*COMPARED[name]))
        file.write_text(text, encoding="utf-8")
        return file

    return made


@pytest.fixture
def page_in(open_page, file_of):
    """Opens a page in a window of a size, and waits until it has settled."""

    def opened(name, width, height, fragment=""):
        size = {"width": width, "height": height}
        page = open_page(file_of(name), fragment, viewport=size, reduced_motion="reduce").page
        page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
        return page

    return opened


@pytest.mark.parametrize(
    ("name", "width", "height"),
    [
        ("cbam", 1440, 900),
        ("cbam", 1200, 900),
        ("cbam", 1100, 900),
        ("cbam", 1000, 900),
        ("deeper", 1440, 900),
        ("deeper", 1200, 900),
        ("dense", 1440, 900),
        ("dense", 1200, 900),
        ("googlenet", 1000, 900),
    ],
)
def test_nothing_lies_over_the_first_view(page_in, name, width, height):
    whole, covered = page_in(name, width, height).evaluate(SEEN)
    assert whole[0] == "in:input"
    assert len(whole) > 8
    # In the narrowest of two panes, the last box that is seen of a wide network may be at the zoom bar.
    assert len(covered) <= (1 if (name, width) == ("dense", 1200) else 0), covered


@pytest.mark.parametrize("width", [1000, 1100])
def test_what_stands_beside_the_network_is_seen_with_it(page_in, width):
    whole, _ = page_in("cbam", width, 900).evaluate(SEEN)
    assert {"layer1.1.conv1", "layer1.1.cbam", "layer1.1.act3"} < set(whole)


def test_a_narrow_window_begins_where_data_comes_in(page_in):
    whole, _ = page_in("dense", 400, 900).evaluate(SEEN)
    assert {"in:input", "features.conv0", "features.norm0"} <= set(whole)


def test_a_low_window_shows_more_than_one_box(page_in):
    whole, covered = page_in("cbam", 320, 568).evaluate(SEEN)
    assert whole[:4] == ["in:input", "conv1", "bn1", "act1"]
    assert covered == []


def test_a_legend_lies_over_neither_of_two_panes(page_in):
    page = page_in("dense", 1440, 900)
    legend, *canvases = (page.locator(one).bounding_box() for one in ("#legend", "#before", "#canvas"))
    assert all(one["y"] + one["height"] <= legend["y"] + 0.5 for one in canvases)
    page.set_viewport_size({"width": 1100, "height": 900})
    page.locator("#dock > #legend").wait_for()
    assert "removed" in page.locator("#legend").inner_text()
