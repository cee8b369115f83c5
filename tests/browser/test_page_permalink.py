"""The address says what is seen."""

from __future__ import annotations

import pytest
from browser.conftest import pause

SE = "papers/se/resnet50"
STATE = """(({ network, open, selected, colour, onlyInserted, query }) =>
    [network, [...open].sort(), selected, colour, onlyInserted, query])(composer.store.state)"""


def address(page):
    pause(page, 700)
    return page.evaluate("location.hash")


def test_a_page_that_nobody_touched_has_no_fragment(open_page, page_of):
    assert address(open_page(page_of(SE)).page) == ""


def test_there_and_back(open_page, page_of):
    first = open_page(page_of(SE))
    page = first.page
    page.evaluate("composer.store.set({ open: new Set(['layer1', 'layer1.0']), colour: 'macs', network: 'base' })")
    page.evaluate("composer.store.select('layer1.0.conv2')")
    page.keyboard.press("+")
    found = address(page)
    assert found.startswith("#n=base&o=layer1,layer1.0&s=layer1.0.conv2&c=macs&z=1.25,")
    second = open_page(page_of(SE), fragment=found[1:])
    assert second.page.evaluate(STATE) == page.evaluate(STATE)
    assert second.page.locator('#drawing [data-path="layer1.0.conv2"].selected').count() == 1
    box = '#drawing [data-path="layer1.0.conv2"]'
    assert second.page.locator(box).bounding_box() == pytest.approx(page.locator(box).bounding_box(), abs=2)
    first.assert_quiet()
    second.assert_quiet()


def test_what_is_only_inserted_and_searched(open_page, page_of):
    page = open_page(page_of(SE), fragment="i&q=layer2%20se").page
    assert page.evaluate("composer.store.state.onlyInserted") is True
    assert page.locator("#query").input_value() == "layer2 se"
    assert not page.locator("#results").is_visible()


def test_a_link_to_something_deep_opens_what_is_around(open_page, page_of):
    page = open_page(page_of(SE), fragment="s=layer4.2.se").page
    pause(page, 400)
    assert page.locator('#drawing [data-path="layer4.1.se"].selected').count() == 1
    box = page.locator('#drawing [data-path="layer4.1.se"]').bounding_box()
    assert 0 < box["y"] < 800


def test_an_address_that_changes_changes_the_page(open_page, page_of):
    opened = open_page(page_of(SE))
    page = opened.page
    page.evaluate("location.hash = 'o=layer4&s=layer4.0&c=parameters'")
    page.wait_for_function("() => composer.store.state.selected === 'layer4.0'")
    assert page.locator('#drawing [data-path="layer4"]').get_attribute("aria-expanded") == "true"
    assert page.locator('#drawing [data-path="layer1"]').get_attribute("aria-expanded") == "false"
    page.evaluate("location.hash = ''")
    page.wait_for_function("() => composer.store.state.selected === null")
    assert page.locator('#drawing [data-path="layer1"]').get_attribute("aria-expanded") == "true"
    opened.assert_quiet()


@pytest.mark.parametrize(
    "fragment",
    [
        "n=nobody&o=,,,&s=&c=rainbow&z=1",
        "o=%E0%A4%A&s=%",
        "z=NaN,1e999,-Infinity",
        "z=0,0,0",
        "z=-3,1,1",
        "s=constructor&o=__proto__,toString&n=__proto__",
        "&&==&&=o&#?",
        "s=layer9.nothing",
        "o=" + "x" * 20_000,
        "<script>alert(1)</script>",
    ],
)
def test_garbage_is_left_out(open_page, page_of, fragment):
    opened = open_page(page_of(SE), fragment=fragment)
    page = opened.page
    assert page.locator('#drawing [data-path="conv1"]').is_visible()
    assert page.evaluate("composer.store.state.network") == "composed"
    assert page.evaluate("composer.store.state.selected") is None
    assert page.evaluate("composer.scene.viewport.get().scale") > 0.01
    opened.assert_quiet()


def test_names_that_mean_something_in_an_address(open_page, page_of):
    page = open_page(page_of(SE)).page
    page.evaluate("composer.store.set({ query: 'a&b=c,d#e%20 ü' })")
    found = address(page)
    page.goto("about:blank")
    again = open_page(page_of(SE), fragment=found[1:]).page
    assert again.locator("#query").input_value() == "a&b=c,d#e%20 ü"
