"""Moving about: wheel, hand, fingers, buttons, the small map."""

from __future__ import annotations

import pytest
from browser.conftest import pause
from browser.fingers import Fingers

SE = "papers/se/resnet50"
LOOK = "composer.scene.viewport.get()"


@pytest.fixture
def se(open_page, page_of):
    opened = open_page(page_of(SE))
    yield opened.page
    opened.assert_quiet()


def place(page, path="conv1"):
    return page.locator(f'#drawing [data-path="{path}"]').bounding_box()


def middle(box):
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def test_the_wheel_zooms_about_the_pointer(se):
    x, y = middle(place(se))
    before = place(se)
    se.mouse.move(x, y)
    se.mouse.wheel(0, -300)
    se.wait_for_function(f"() => {LOOK}.scale > 1.1")
    assert place(se)["width"] > 1.1 * before["width"]
    assert middle(place(se)) == pytest.approx((x, y), abs=2)


def test_a_drag_moves_and_does_not_select(se):
    x, y = middle(place(se))
    before = place(se)
    se.mouse.move(x, y)
    se.mouse.down()
    se.mouse.move(x + 40, y + 25, steps=4)
    se.mouse.move(x + 80, y + 50, steps=4)
    se.mouse.up()
    assert place(se)["x"] == pytest.approx(before["x"] + 80, abs=1)
    assert place(se)["y"] == pytest.approx(before["y"] + 50, abs=1)
    assert se.evaluate("composer.store.state.selected") is None
    # And the click after it selects again.
    se.locator('#drawing [data-path="conv1"]').click()
    assert se.evaluate("composer.store.state.selected") == "conv1"


@pytest.fixture
def phone(open_page, page_of):
    opened = open_page(page_of(SE), viewport={"width": 412, "height": 800}, has_touch=True, is_mobile=True)
    yield opened.page
    opened.assert_quiet()


def test_one_finger_drags_a_box(phone):
    before = place(phone)
    x, y = middle(before)
    Fingers(phone).move(((x, y), (x + 80, y + 120)))
    assert place(phone)["x"] == pytest.approx(before["x"] + 80, abs=2)
    assert place(phone)["y"] == pytest.approx(before["y"] + 120, abs=2)
    assert phone.evaluate("composer.store.state.selected") is None
    # And a tap after it selects again: the first that the browser makes a click of, as it takes one for a fling's end.
    phone.evaluate("window.clicks = 0; addEventListener('click', () => { clicks += 1; }, { capture: true })")
    for _ in range(20):
        phone.touchscreen.tap(*middle(place(phone)))
        pause(phone, 200)
        if phone.evaluate("clicks"):
            break
    phone.locator('#drawing .selected[data-path="conv1"]').wait_for()


def test_two_fingers_pinch_a_box(phone):
    before = place(phone)
    x, y = middle(before)
    Fingers(phone).move(((x - 40, y), (x - 80, y)), ((x + 40, y), (x + 80, y)))
    assert place(phone)["width"] == pytest.approx(2 * before["width"], rel=0.02)
    assert middle(place(phone)) == pytest.approx((x, y), abs=2)
    assert phone.evaluate("composer.store.state.selected") is None


def test_a_finger_that_stays_goes_on_dragging(phone):
    """Two fingers pinch, one is lifted, and the other drags on; a third touch starts afresh."""
    x, y = middle(place(phone))
    fingers = Fingers(phone)
    fingers.put("touchStart", {0: (x - 40, y), 1: (x + 40, y)})
    fingers.put("touchMove", {0: (x - 60, y), 1: (x + 60, y)})
    fingers.put("touchEnd", {1: (x + 60, y)})
    fingers.settle()
    before = place(phone)
    fingers.put("touchMove", {0: (x - 60, y + 50)})
    fingers.put("touchMove", {0: (x - 60, y + 90)})
    fingers.put("touchEnd", {})
    fingers.settle()
    assert place(phone)["y"] == pytest.approx(before["y"] + 90, abs=2)
    assert phone.locator("#canvas.dragged").count() == 0
    before = place(phone)
    fingers.move(((x, y), (x, y - 60)))
    assert place(phone)["y"] == pytest.approx(before["y"] - 60, abs=2)


def test_buttons(se):
    se.get_by_role("button", name="Zoom in (+)").click()
    assert se.evaluate(f"{LOOK}.scale") == pytest.approx(1.25)
    se.get_by_role("button", name="Zoom out (−)").click()
    assert se.evaluate(f"{LOOK}.scale") == pytest.approx(1)
    se.get_by_role("button", name="Fit (f)").click()
    pause(se, 350)
    canvas = se.locator("#canvas").bounding_box()
    for end in ("in:input", "out:output"):
        box = place(se, end)
        assert canvas["y"] <= box["y"] <= canvas["y"] + canvas["height"]
    assert se.locator("#minimap.gone").count() == 1
    se.get_by_role("button", name="Actual size").click()
    pause(se, 350)
    assert se.evaluate(f"{LOOK}.scale") == pytest.approx(1)


def test_the_small_map_shows_and_moves_what_is_seen(se):
    minimap = se.locator("#minimap").bounding_box()
    assert se.locator("#minimap.gone").count() == 0
    x = minimap["x"] + minimap["width"] / 2
    se.mouse.move(x, minimap["y"] + 30)
    se.mouse.down()
    se.mouse.move(x, minimap["y"] + minimap["height"] - 20, steps=3)
    se.mouse.up()
    seen = se.locator("#minimap .seen").bounding_box()
    assert seen["y"] + seen["height"] > minimap["y"] + 0.8 * minimap["height"]
    canvas = se.locator("#canvas").bounding_box()
    assert canvas["y"] < place(se, "fc")["y"] < canvas["y"] + canvas["height"]


def test_a_pane_that_opens_leaves_the_drawing_where_it_is(se):
    before = place(se)
    se.keyboard.press("y")
    pause(se, 350)
    assert place(se)["x"] == pytest.approx(before["x"], abs=1)


def test_what_is_selected_is_not_hidden_by_a_pane(se):
    canvas = se.locator("#canvas").bounding_box()
    right = canvas["x"] + canvas["width"]
    se.evaluate(f"composer.scene.viewport.set({{ ...{LOOK}, x: {right} - 300 }})")
    se.locator('#drawing [data-path="conv1"]').click(position={"x": 10, "y": 10})
    se.locator("#panel").wait_for()
    pause(se, 400)
    box, canvas = place(se), se.locator("#canvas").bounding_box()
    assert box["x"] + box["width"] <= canvas["x"] + canvas["width"]
