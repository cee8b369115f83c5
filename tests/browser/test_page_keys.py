"""The page by keyboard alone."""

from __future__ import annotations

import pytest
from browser.conftest import pause

SE = "papers/se/resnet50"


@pytest.fixture
def se(open_page, page_of):
    opened = open_page(page_of(SE), fragment="o=layer2")
    opened.page.locator("#drawing").focus()
    yield opened.page
    opened.assert_quiet()


def selected(page):
    return page.evaluate("composer.store.state.selected")


def press(page, keys):
    for key in keys.split():
        page.keyboard.press(key)


@pytest.mark.parametrize(
    ("keys", "path"),
    [
        ("ArrowDown", "conv1"),
        ("ArrowDown ArrowDown ArrowDown", "act1"),
        ("ArrowDown ArrowDown ArrowUp ArrowUp", "conv1"),
        ("ArrowDown End", "fc"),
        ("ArrowDown End ArrowDown Home", "conv1"),
        ("End ArrowUp ArrowUp ArrowUp", "layer3"),
        ("End End", "fc"),
    ],
)
def test_the_selection_moves_with_the_data(se, keys, path):
    press(se, keys)
    assert selected(se) == path
    group = se.locator(f'#drawing [data-path="{path}"]')
    assert se.locator("#drawing").get_attribute("aria-activedescendant") == group.get_attribute("id")


def test_into_a_container_and_out_again(se):
    se.evaluate("composer.store.select('layer2')")
    press(se, "ArrowRight")
    assert selected(se) == "layer2.0"
    press(se, "ArrowDown")
    assert selected(se) == "layer2.1"
    # A closed one opens first.
    press(se, "ArrowRight")
    assert selected(se) == "layer2.1"
    press(se, "ArrowRight")
    assert selected(se) == "layer2.1.conv1"
    press(se, "ArrowLeft ArrowLeft")
    assert selected(se) == "layer2"
    press(se, "ArrowLeft")
    assert selected(se) == "layer2"


def test_enter_opens_and_closes(se):
    se.evaluate("composer.store.select('layer3')")
    group = se.locator('#drawing [data-path="layer3"]')
    press(se, "Enter")
    assert group.get_attribute("aria-expanded") == "true"
    press(se, "Enter")
    assert group.get_attribute("aria-expanded") == "false"
    press(se, "Shift+Enter")
    assert se.locator('#drawing [data-path="layer3"] [data-path][aria-expanded="false"]:not(.inserted)').count() == 0
    assert se.locator('#drawing [data-path="layer3.0.downsample"]').get_attribute("aria-expanded") == "true"
    press(se, "Shift+Enter")
    assert group.get_attribute("aria-expanded") == "false"


def test_the_selected_box_is_moved_into_view(se):
    press(se, "Home End")
    pause(se, 350)
    place = se.locator('#drawing [data-path="fc"]').bounding_box()
    canvas = se.locator("#canvas").bounding_box()
    assert canvas["y"] <= place["y"]
    assert place["y"] + place["height"] <= canvas["y"] + canvas["height"]


def test_its_button_is_the_next_stop(se):
    se.evaluate("composer.store.select('layer3', { panel: false })")
    press(se, "Tab")
    assert se.evaluate("document.activeElement.getAttribute('aria-label')") == "Open layer3"
    for label in ("Close layer3", "Open layer3", "Close layer3"):
        press(se, "Enter")
        assert se.evaluate("document.activeElement.getAttribute('aria-label')") == label
    assert se.locator('#drawing [data-path="layer3"]').get_attribute("aria-expanded") == "true"


def test_the_focus_is_never_caught(se):
    """By Tab alone, once around: every control, the drawing once, and out of the page again."""
    here = "document.activeElement.id || document.activeElement.ariaLabel || document.activeElement.localName"

    def round_trip():
        for _ in range(40):
            press(se, "Tab")
            stop = se.evaluate(here)
            if stop == "body":
                return
            yield stop
        pytest.fail("the focus never leaves the page")

    list(round_trip())
    stops = list(round_trip())
    assert stops.count("drawing") == 1
    assert {"query", "Colour", "Save this view", "Zoom in (+)", "Keys (?)"} <= set(stops)


def test_keys_work_anywhere_but_in_fields(se):
    scale = "composer.scene.viewport.get().scale"
    before = se.evaluate(scale)
    press(se, "+")
    assert se.evaluate(scale) > before
    press(se, "-")
    assert se.evaluate(scale) == pytest.approx(before)
    press(se, "/ + - i")
    assert se.evaluate(scale) == pytest.approx(before)
    assert se.locator("#query").input_value() == "+-i"
    assert se.evaluate("composer.store.state.onlyInserted") is False
    press(se, "Escape Escape")
    assert se.evaluate("document.activeElement.id") == "drawing"
    press(se, "0")
    pause(se, 350)
    assert se.evaluate(scale) == pytest.approx(1)
    press(se, "f")
    pause(se, 350)
    assert se.evaluate(scale) < 1


def test_help_opens_and_closes(se):
    press(se, "?")
    assert se.get_by_role("dialog", name="Keys").is_visible()
    press(se, "Escape")
    assert se.get_by_role("dialog", name="Keys").count() == 0


def test_escape_closes_panes_before_it_selects_nothing(se):
    se.evaluate("composer.store.select('conv1')")
    press(se, "y")
    assert se.locator("#panel").is_visible()
    assert se.locator("#source").is_visible()
    press(se, "Escape")
    assert not se.locator("#panel").is_visible()
    assert not se.locator("#source").is_visible()
    assert selected(se) == "conv1"
    press(se, "Escape")
    assert selected(se) is None


def test_screen_readers_hear_what_a_box_is(se):
    tree = se.get_by_role("tree", name="Boxes of se_resnet50")
    box = tree.get_by_role(
        "treeitem", name="layer2, 4 × bottleneck, gives 512 by 28 by 28, 1.35 M parameters, holds 4 se"
    )
    assert box.count() == 1
    assert box.get_attribute("aria-level") == "1"
    assert se.get_by_role("treeitem", name="bottleneck, identity, 3 copies").count() == 1


def test_what_closes_hands_the_focus_to_the_drawing(se):
    press(se, "ArrowDown d")
    se.locator("#panel .close").focus()
    press(se, "Enter")
    assert se.evaluate("document.activeElement.id") == "drawing"
    press(se, "y")
    se.locator("#source [role=tab]").first.focus()
    press(se, "y")
    assert se.evaluate("document.activeElement.id") == "drawing"


def test_without_a_focus_arrows_are_meant_for_the_drawing(open_page, page_of):
    page = open_page(page_of(SE)).page
    press(page, "ArrowDown ArrowDown")
    assert selected(page) == "bn1"
    assert page.evaluate("document.activeElement.id") == "drawing"


def test_escape_closes_the_kinds_before_it_selects_nothing(se):
    press(se, "ArrowDown k")
    assert se.locator("#legend details[open]").count() == 1
    press(se, "Escape")
    assert se.locator("#legend details[open]").count() == 0
    assert selected(se) == "conv1"


def test_the_header_tells_of_the_network_that_is_shown(se):
    before = se.locator("#head p").inner_text()
    press(se, "b")
    assert before.startswith("28.1 M parameters")
    assert se.locator("#head p").inner_text() == before.replace("28.1 M", "25.6 M")
    press(se, "b")
    assert se.locator("#head p").inner_text() == before
