"""Moving about: wheel, hand, fingers, buttons, the small map."""

from __future__ import annotations

import pytest

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
    se.wait_for_function(f"{LOOK}.scale > 1.1")
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


def test_two_fingers_pinch(se):
    before = place(se)
    x, y = middle(before)
    se.evaluate(
        """([x, y]) => {
            const canvas = document.getElementById("canvas");
            canvas.setPointerCapture = () => {};
            const send = (name, id, x, y) => canvas.dispatchEvent(new PointerEvent(name,
                { pointerId: id, pointerType: "touch", clientX: x, clientY: y, bubbles: true }));
            send("pointerdown", 11, x - 50, y);
            send("pointerdown", 12, x + 50, y);
            for (let step = 1; step <= 5; step++) {
                send("pointermove", 11, x - 50 - 10 * step, y);
                send("pointermove", 12, x + 50 + 10 * step, y);
            }
            send("pointerup", 11, x, y);
            send("pointerup", 12, x, y);
        }""",
        [x, y],
    )
    assert place(se)["width"] == pytest.approx(2 * before["width"], rel=0.01)
    assert middle(place(se)) == pytest.approx((x, y), abs=2)


def test_buttons(se):
    se.get_by_role("button", name="Zoom in (+)").click()
    assert se.evaluate(f"{LOOK}.scale") == pytest.approx(1.25)
    se.get_by_role("button", name="Zoom out (−)").click()
    assert se.evaluate(f"{LOOK}.scale") == pytest.approx(1)
    se.get_by_role("button", name="Fit (f)").click()
    se.wait_for_timeout(350)
    canvas = se.locator("#canvas").bounding_box()
    for end in ("in:input", "out:logits"):
        box = place(se, end)
        assert canvas["y"] <= box["y"] <= canvas["y"] + canvas["height"]
    assert se.locator("#minimap.gone").count() == 1
    se.get_by_role("button", name="Actual size").click()
    se.wait_for_timeout(350)
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
    se.wait_for_timeout(350)
    assert place(se)["x"] == pytest.approx(before["x"], abs=1)


def test_what_is_selected_is_not_hidden_by_a_pane(se):
    canvas = se.locator("#canvas").bounding_box()
    right = canvas["x"] + canvas["width"]
    se.evaluate(f"composer.scene.viewport.set({{ ...{LOOK}, x: {right} - 300 }})")
    se.locator('#drawing [data-path="conv1"]').click(position={"x": 10, "y": 10})
    se.locator("#panel").wait_for()
    se.wait_for_timeout(400)
    box, canvas = place(se), se.locator("#canvas").bounding_box()
    assert box["x"] + box["width"] <= canvas["x"] + canvas["width"]
