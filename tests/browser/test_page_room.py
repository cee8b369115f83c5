"""What lies over a canvas leaves the drawing in sight: at first, where something opens, and where it is selected."""

from __future__ import annotations

from functools import cache
from itertools import pairwise

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


def test_what_stands_beside_the_network_before_is_seen_too(page_in):
    page = page_in("dense", 1440, 900)
    canvas = page.locator("#before").bounding_box()
    for box in page.locator("#drawing-before [data-inset] > rect.box").all():
        area = box.bounding_box()
        assert area["x"] + area["width"] <= canvas["x"] + canvas["width"]
    aside = [
        page.locator(f'#{one} [data-path="in:input"]').bounding_box()["x"] for one in ("drawing-before", "drawing")
    ]
    page.evaluate("composer.scene.viewport.pan(-30, 0)")
    moved = [
        page.locator(f'#{one} [data-path="in:input"]').bounding_box()["x"] for one in ("drawing-before", "drawing")
    ]
    assert moved == pytest.approx([one - 30 for one in aside], abs=1)


def opened_by_key(page, path):
    """Selects a box, and opens it with Enter."""
    page.evaluate(f"composer.store.select('{path}', {{ reveal: true }})")
    page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    page.locator("#drawing").focus()
    page.keyboard.press("Enter")
    return page.locator(f'#drawing [data-path="{path}"]')


def frame(box):
    return box.locator("> rect.box").first.bounding_box()


def test_what_opens_moves_to_where_all_of_it_is_seen(page_in):
    page = page_in("vit_tiny_patch16_224", 1440, 900)
    path = "blocks.0.attn"
    steps = opened_by_key(page, path).locator("[data-path]")
    whole, _ = page.evaluate(SEEN)
    inside = steps.evaluate_all("all => all.map(one => one.dataset.path)")
    assert len(inside) > 10
    assert set(inside) <= set(whole)
    page.keyboard.press("ArrowRight")
    for _ in inside:
        page.keyboard.press("ArrowDown")
        assert page.evaluate("composer.store.state.selected") in page.evaluate(SEEN)[0]


def test_what_opens_and_is_longer_than_the_canvas_begins_in_it(page_in):
    page = page_in("papers/cbam/resnet50", 1440, 900)
    area, canvas = frame(opened_by_key(page, "layer1.0.cbam")), page.locator("#canvas").bounding_box()
    assert area["height"] > canvas["height"]
    assert canvas["y"] <= area["y"] <= canvas["y"] + 50
    assert canvas["x"] <= area["x"]
    assert area["x"] + area["width"] <= page.locator("#minimap").bounding_box()["x"]


def test_what_opens_in_sight_stays_where_it_is(page_in):
    page = page_in("papers/cbam/resnet50", 1440, 900)
    page.evaluate("composer.scene.viewport.set({ x: 500, y: -250, scale: 1 })")
    box = page.locator('#drawing [data-path="layer1.0"]')
    before = box.locator("> .toggle").bounding_box()
    box.locator("> .toggle").click()
    assert frame(box)["height"] > 300
    assert box.locator("> .toggle").bounding_box() == pytest.approx(before, abs=1)


def test_on_a_phone_what_opens_keeps_its_button_in_sight(page_in):
    page = page_in("papers/cbam/resnet50", 390, 844)
    toggle = opened_by_key(page, "layer1.0.cbam").locator("> .toggle .disc").bounding_box()
    canvas = page.locator("#canvas").bounding_box()
    assert canvas["x"] <= toggle["x"]
    assert canvas["y"] <= toggle["y"]
    assert toggle["y"] + toggle["height"] <= canvas["y"] + canvas["height"]


def test_the_small_map_takes_a_small_part_of_a_canvas(page_in):
    page = page_in("vit_tiny_patch16_224", 390, 844)
    for size in ({"width": 390, "height": 844}, {"width": 1440, "height": 900}):
        page.set_viewport_size(size)
        page.wait_for_function("width => document.querySelector('#canvas').clientWidth === width", arg=size["width"])
        page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
        assert 18 <= page.locator("#minimap").bounding_box()["width"] <= size["width"] / 6 + 2


@pytest.mark.parametrize("width", [1100, 1440])
def test_what_is_saved_has_the_legend_in_one_row(page_in, width):
    page = page_in("dense", width, 900)
    # So it is measured when it is saved.
    page.evaluate("document.querySelector('#legend').classList.add('wide')")
    areas = [one.bounding_box() for one in page.locator("#legend .entry").all()]
    assert len(areas) == 5
    for one, following in pairwise(areas):
        assert following["x"] >= one["x"] + one["width"] + 10
