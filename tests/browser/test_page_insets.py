"""Closed blocks that stand open beside the network, on its first screen."""

from __future__ import annotations

import pytest

INSETS = """() => [...document.querySelectorAll("#drawing .insets > .inside > .boxes > g")].map(one => {
    const { left, right, top, bottom } = one.querySelector(":scope > rect").getBoundingClientRect();
    const boxes = [...one.querySelectorAll(":scope > .inside > .boxes > g")];
    return { path: one.dataset.inset, area: [left, right, top, bottom], names: boxes.map(box => box.dataset.inset) };
})"""
CBAM = "papers/cbam/resnet50"


@pytest.mark.parametrize(
    ("name", "path", "operation"),
    [
        (CBAM, "layer1.1", "cbam"),
        ("resnet50", "layer1.1", "add"),
        ("densenet121", "features.denseblock1", "concat"),
        ("googlenet", "inception3a", "concat"),
    ],
)
def test_the_first_screen_shows_how_its_blocks_work(open_page, page_of, name, path, operation):
    page = open_page(page_of(name), viewport={"width": 1440, "height": 900}).page
    first = page.evaluate(INSETS)[0]
    assert first["path"] == path
    assert any(one.rpartition(".")[2].startswith(operation) for one in first["names"])
    left, right, top, bottom = first["area"]
    assert 0 <= left < right <= 1440
    assert 0 <= top < bottom <= 900
    network = page.locator("#drawing > .world > .inside").bounding_box()
    assert network["x"] >= 0
    assert network["x"] + network["width"] <= left


def test_it_goes_where_its_block_is_open_or_there_is_no_room(open_page, page_of):
    opened = open_page(page_of(CBAM), viewport={"width": 1440, "height": 900})
    page = opened.page
    page.evaluate("composer.store.set({ open: new Set([...composer.store.state.open, 'layer1.1']) })")
    assert page.evaluate(INSETS) == []
    page.evaluate("composer.store.set({ open: new Set(composer.store.data.open) })")
    assert len(page.evaluate(INSETS)) == 1
    page.set_viewport_size({"width": 400, "height": 900})
    page.wait_for_function(f"() => !({INSETS})().length")
    opened.assert_quiet()


def test_a_click_in_it_tells_of_the_node(open_page, page_of):
    page = open_page(page_of(CBAM), viewport={"width": 1440, "height": 900}).page
    page.locator('#drawing [data-inset="layer1.1.cbam"]').click()
    page.wait_for_selector("#panel:not([hidden])")
    assert "layer1.1.cbam" in page.locator("#panel").inner_text()
    assert page.locator("#drawing .insets .selected").get_attribute("data-inset") == "layer1.1.cbam"
    # In the network it is in a block that is closed.
    assert page.locator("#drawing [data-path].selected").get_attribute("data-path") == "layer1.1"


def test_it_shows_the_network_that_is_chosen(open_page, page_of):
    page = open_page(page_of(CBAM), viewport={"width": 1440, "height": 900}).page
    page.evaluate("composer.store.set({ network: 'base' })")
    (inset,) = page.evaluate(INSETS)
    assert "layer1.1.cbam" not in inset["names"]
    assert "layer1.1.add" in inset["names"]
