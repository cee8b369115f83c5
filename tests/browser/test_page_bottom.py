"""Below 1000 pixels the details come from below, and what is chosen is in the middle of what they leave."""

from __future__ import annotations

import pytest
from browser.fingers import Fingers

CBAM = "papers/cbam/resnet50"
PHONE = {"width": 390, "height": 844}

# Corners and middle of the selected box at which something else lies over it, or that are out of the canvas.
COVERED = """() => {
    const box = document.querySelector("#drawing .selected > rect.box:not(.sheet)");
    const { left, right, top, bottom } = box.getBoundingClientRect();
    const area = document.getElementById("canvas").getBoundingClientRect();
    const points = [[left + 2, top + 2], [right - 2, top + 2], [left + 2, bottom - 2], [right - 2, bottom - 2],
        [(left + right) / 2, (top + bottom) / 2]];
    return points.filter(([x, y]) =>
        y < area.top || y > area.bottom || !document.elementFromPoint(x, y)?.closest("#drawing"));
}"""


@pytest.fixture
def opened(open_page, page_of):
    opened = open_page(page_of(CBAM), viewport=PHONE, has_touch=True, is_mobile=True, reduced_motion="reduce")
    yield opened
    opened.assert_quiet()


def place(page, selector):
    return page.locator(selector).bounding_box()


def settled(page):
    page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")


def choose(page, path):
    page.evaluate(f"composer.store.select('{path}', {{ reveal: true }})")
    settled(page)


def offset(page):
    """How far the middle of what is chosen is from the middle of the canvas, across and down."""
    box, canvas = place(page, "#drawing .selected > rect.box:not(.sheet)"), place(page, "#canvas")
    return (
        abs(box["x"] + box["width"] / 2 - canvas["x"] - canvas["width"] / 2),
        abs(box["y"] + box["height"] / 2 - canvas["y"] - canvas["height"] / 2),
    )


def test_it_is_half_as_high_as_the_window_and_leaves_the_selection_in_the_middle(opened):
    page = opened.page
    choose(page, "layer2.0")
    panel = place(page, "#panel")
    assert panel["x"] == 0
    assert panel["width"] == PHONE["width"]
    assert panel["y"] + panel["height"] == pytest.approx(PHONE["height"], abs=1)
    assert 0.4 < panel["height"] / PHONE["height"] < 0.5
    for path in ("layer2.0", "conv1", "fc", "layer4.1"):
        choose(page, path)
        assert offset(page) == pytest.approx((0, 0), abs=4), path
        assert page.evaluate(COVERED) == []
    assert opened.grave() == []


@pytest.mark.parametrize(("to", "heights"), [(-420, (0.6, 0.95)), (60, (0.4, 0.5)), (330, (0, 0))])
def test_a_finger_drags_it_up_and_down_and_away(opened, to, heights):
    page = opened.page
    choose(page, "layer2.0")
    handle = place(page, "#panel .handle")
    x, y = handle["x"] + handle["width"] / 2, handle["y"] + handle["height"] / 2
    Fingers(page).move(((x, y), (x, y + to)))
    settled(page)
    panel = page.locator("#panel").bounding_box() or {"height": 0}
    assert heights[0] <= panel["height"] / PHONE["height"] <= heights[1]
    assert page.evaluate("composer.store.state.selected") == "layer2.0"
    if panel["height"]:
        assert offset(page) == pytest.approx((0, 0), abs=4)
        assert page.evaluate(COVERED) == []


def test_a_tap_and_keys_change_its_height_too(opened):
    page = opened.page
    choose(page, "layer2.0")
    handle = page.locator("#panel .handle")
    low = place(page, "#panel")["height"]
    handle.tap()
    settled(page)
    assert place(page, "#panel")["height"] > 1.4 * low
    assert handle.get_attribute("aria-expanded") == "true"
    assert page.evaluate(COVERED) == []
    handle.focus()
    page.keyboard.press("Enter")
    settled(page)
    assert place(page, "#panel")["height"] == pytest.approx(low, abs=1)
    page.get_by_role("button", name="Close details").tap()
    assert page.locator("#panel").is_hidden()


def test_a_finger_scrolls_what_is_in_it(opened):
    page = opened.page
    choose(page, "layer2.0")
    panel = place(page, "#panel")
    before = page.evaluate("composer.scene.viewport.get()")
    x, y = panel["x"] + 150, panel["y"] + panel["height"] - 30
    Fingers(page).move(((x, y), (x, y - 200)), steps=12)
    page.wait_for_function("() => document.getElementById('panel').scrollTop > 40")
    assert page.evaluate("composer.scene.viewport.get()") == before
    # Its handle and its button stay in sight.
    for selector in ("#panel .handle", "#panel .close"):
        area = place(page, selector)
        assert panel["y"] - 1 <= area["y"] <= panel["y"] + 40


def test_a_tap_chooses_what_it_hits(opened):
    page = opened.page
    box = place(page, '#drawing [data-path="conv1"]')
    page.touchscreen.tap(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.locator("#panel").wait_for()
    settled(page)
    assert page.evaluate("composer.store.state.selected") == "conv1"
    assert offset(page) == pytest.approx((0, 0), abs=4)


def test_of_spec_and_details_there_is_one(opened):
    page = opened.page
    choose(page, "layer2.0")
    page.evaluate("composer.store.set({ source: true })")
    assert [page.locator(one).is_visible() for one in ("#panel", "#source")] == [False, True]
    page.evaluate("composer.store.set({ panel: true })")
    assert [page.locator(one).is_visible() for one in ("#panel", "#source")] == [True, False]


def test_the_small_map_has_the_blocks_beside_the_network(open_page, page_of):
    page = open_page(page_of(CBAM), viewport={"width": 1440, "height": 900}).page
    boxes = "document.querySelectorAll('#minimap rect.box').length"
    with_inset = page.evaluate(boxes)
    # Where it is wholly seen it is known to be seen, and the frame is not as wide as the network alone.
    assert with_inset > page.evaluate(
        "document.querySelectorAll('#drawing > .world > .inside rect.box:not(.sheet)').length"
    )
    page.set_viewport_size({"width": 420, "height": 900})
    page.wait_for_function(f"() => {boxes} < {with_inset}")
