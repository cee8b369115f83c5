"""The YAML beside the drawing in a real browser: a line selects its nodes, and a node shows its line."""

from __future__ import annotations

import pytest

import composer
from composer.dag.sketch import Sketch
from composer.page.render import render_page
from composer.spec import zoo


def written(text):
    """The line of the bottleneck of resnet.yaml that starts with a text."""
    lines = (zoo.folder() / "backbones/resnet.yaml").read_text().splitlines()
    start = lines.index("  bottleneck:")
    return next(number for number, one in enumerate(lines, 1) if number > start and one.strip().startswith(text))


@pytest.fixture(scope="module")
def se(tmp_path_factory):
    graph = composer.graph("papers/se/resnet50")
    path = tmp_path_factory.mktemp("page") / "se.html"
    path.write_text(render_page(Sketch.of(graph), graph), encoding="utf-8")
    return path


@pytest.fixture
def opened(open_page, se):
    found = open_page(se)
    found.page.evaluate("composer.store.set({ source: true })")
    return found


def selected(opened):
    return opened.page.evaluate("composer.store.state.selected")


def select(opened, path):
    opened.page.evaluate("path => composer.store.select(path, { reveal: true })", path)


def line(opened, number):
    return opened.page.locator("#source .line").nth(number - 1)


def tab(opened):
    return opened.page.locator("#source [role=tab][aria-selected=true]").inner_text()


def current(opened):
    return opened.page.locator("#source .line.current .number").all_inner_texts()


def test_the_files_of_the_chain(opened):
    tabs = opened.page.locator("#source [role=tab]")
    assert tabs.all_inner_texts() == ["se/resnet50.yaml", "backbones/resnet50.yaml", "resnet.yaml"]
    assert "reduction: 16" in opened.page.locator("#source").inner_text()
    tabs.nth(0).focus()
    opened.page.keyboard.press("ArrowRight")
    assert tab(opened) == "backbones/resnet50.yaml"
    opened.assert_quiet()


def test_a_rule_s_line_goes_through_its_places(opened):
    line(opened, 8).click()
    assert selected(opened) == "layer1.0.se"
    assert opened.page.locator("#source .made").inner_text() == "1 of 16: layer1.0.se"
    line(opened, 8).click()
    assert selected(opened) == "layer1.1.se"
    assert opened.page.locator("#source .made").inner_text() == "2 of 16: layer1.1.se"
    assert current(opened) == ["8"]
    # What is selected is on the picture too.
    assert opened.page.locator('[data-path="layer1.1.se"].selected').count() == 1
    opened.assert_quiet()


def test_a_node_shows_all_of_its_lines(opened):
    select(opened, "layer3.2.conv2")
    assert tab(opened) == "resnet.yaml"
    assert current(opened) == [str(number) for number in range(written("conv2:"), written("bn2:"))]
    assert opened.page.evaluate(
        """() => { const list = document.querySelector("#source .lines").getBoundingClientRect();
            const line = document.querySelector("#source .current").getBoundingClientRect();
            return line.top >= list.top && line.bottom <= list.bottom; }"""
    )
    select(opened, "layer3.2.se")
    assert (tab(opened), current(opened)) == ("se/resnet50.yaml", ["8"])


def test_any_line_of_a_node_selects_it(opened):
    opened.page.locator("#source [role=tab]").nth(2).click()
    line(opened, written("conv2:") + 4).click()
    assert selected(opened) == "layer1.0.conv2"
    # A block's own line selects its instances; lines inside it, what they write.
    line(opened, written("bottleneck:")).click()
    assert selected(opened) == "layer1.0"
    line(opened, 1).click()
    assert selected(opened) == "layer1.0"


def test_by_keyboard_alone(opened):
    opened.page.locator("#source [role=tab]").nth(2).click()
    opened.page.keyboard.press("Tab")
    assert opened.page.evaluate("document.activeElement.matches('#source button.line')")
    for _ in range(3):
        opened.page.keyboard.press("ArrowDown")
    opened.page.keyboard.press("Enter")
    assert selected(opened) is not None
    opened.page.keyboard.press("End")
    opened.page.keyboard.press("Enter")
    assert selected(opened) == "fc"
    # One stop for the whole list.
    assert opened.page.locator("#source .lines [tabindex='0']").count() == 1


def test_the_panel_leads_to_the_line(opened):
    opened.page.evaluate("composer.store.set({ source: false })")
    select(opened, "layer2.0.bn2")
    opened.page.locator("#panel").get_by_role("button", name=f"line {written('bn2:')} of resnet.yaml").click()
    assert opened.page.locator("#source").is_visible()
    assert (tab(opened), current(opened)) == ("resnet.yaml", [str(written("bn2:"))])
    select(opened, "layer2.0.bn3")
    assert current(opened) == [str(written("bn3:"))]


def test_the_base_network_has_no_rules(opened):
    opened.page.evaluate("composer.store.set({ network: 'base' })")
    assert not line(opened, 8).evaluate("one => one.matches('button')")
    opened.page.locator("#source [role=tab]").nth(2).click()
    assert line(opened, written("bn3:")).evaluate("one => one.matches('button')")
    opened.assert_quiet()


def test_keys_are_coloured_and_nothing_is_lost(opened):
    opened.page.locator("#source [role=tab]").nth(2).click()
    shown = opened.page.locator("#source .line code").all_text_contents()
    text = (composer.load("resnet").files[0].origin.document.source.text).rstrip("\n")
    assert "\n".join(shown) == text
    assert opened.page.locator("#source .t-key", has_text="out_channels").count() > 3
    assert opened.page.locator("#source .t-comment").first.inner_text().startswith("# ResNet")
