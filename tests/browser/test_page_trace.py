"""What leads to a node and what it leads to, as in the graph; kinds that are dimmed."""

from __future__ import annotations

import networkx as nx
import pytest
from browser.conftest import pause

import composer

# Paths that are kept, of some, in the network that is shown.
KEPT = """paths => {
    const { store, marks } = composer.panes[0];
    return paths.filter(path => marks.traced()?.has(store.box(path).path));
}"""
FADED = '() => [...document.querySelectorAll("#drawing .faded")].map(one => one.dataset.path)'


@pytest.mark.parametrize(
    ("source", "path"),
    [
        ("resnet18", "layer3.0.conv1"),
        ("resnet18", "layer2.0.downsample.0"),
        ("examples/encoder_and_decoder.yaml", None),
        ("densenet121", "features.transition2.conv"),
    ],
)
def test_it_is_what_the_graph_says(page_of, open_page, source, path):
    graph = composer.graph(source)
    flat = graph.networkx()
    names = [node.path for node, _ in graph.operations]
    path = path or names[len(names) // 2]
    expected = {
        "up": nx.ancestors(flat, path) | {path},
        "down": nx.descendants(flat, path) | {path},
        "both": nx.ancestors(flat, path) | nx.descendants(flat, path) | {path},
    }
    opened = open_page(page_of(source))
    for way, wanted in expected.items():
        opened.page.evaluate("trace => composer.store.set({ trace })", {"path": path, "way": way})
        assert set(opened.page.evaluate(KEPT, names)) == wanted & set(names), way
    opened.assert_quiet()


def test_of_a_closed_block_all_in_it_is_kept(page_of, open_page):
    names = [node.path for node, _ in composer.graph("resnet18").operations]
    page = open_page(page_of("resnet18")).page
    page.evaluate("composer.store.set({ trace: { path: 'layer2', way: 'up' } })")
    kept = set(page.evaluate(KEPT, names))
    assert {"conv1", "layer1.1.conv2", "layer2.0.conv1", "layer2.1.bn2"} <= kept
    assert not {one for one in kept if one.startswith(("layer3", "fc"))}


def test_keys_buttons_and_links(page_of, open_page):
    file = page_of("resnet18")
    opened = open_page(file, "o=layer1,layer1.0&s=layer1.0.conv2", reduced_motion="reduce")
    page = opened.page
    page.locator("#drawing").focus()
    page.keyboard.press("t")
    buttons = page.get_by_role("group", name="Trace").get_by_role("button")
    pressed = [one.get_attribute("aria-pressed") for one in buttons.all()]
    assert dict(zip(buttons.all_inner_texts(), pressed, strict=True)) == {
        "Upstream": "false",
        "Downstream": "false",
        "Both": "true",
    }
    page.get_by_role("button", name="Upstream").click()
    faded = page.evaluate(FADED)
    assert "layer1.0.bn2" in faded
    assert "out:output" in faded
    assert not {"conv1", "layer1", "layer1.0", "layer1.0.conv1", "layer1.0.conv2", "in:input"} & set(faded)
    assert "upstream of layer1.0.conv2" in page.locator("#status").inner_text()
    assert page.locator("#drawing .wire.off").count() > 5
    assert opened.grave() == []
    pause(page, 600)
    assert "t=up,layer1.0.conv2" in page.evaluate("decodeURIComponent(location.hash)")
    again = open_page(file, page.evaluate("location.hash").removeprefix("#")).page
    assert set(again.evaluate(FADED)) == set(faded)
    page.keyboard.press("Escape")
    assert page.evaluate(FADED) == []
    assert page.evaluate("composer.store.state.panel"), "the first Escape ends the trace only"
    opened.assert_quiet()


def test_kinds_are_dimmed(page_of, open_page):
    opened = open_page(page_of("papers/se/resnet50"), reduced_motion="reduce")
    page = opened.page
    page.keyboard.press("k")
    button = page.get_by_role("button", name="normalisation")
    button.click()
    assert button.get_attribute("aria-pressed") == "false"
    assert "bn1" in page.evaluate(FADED)
    assert "conv1" not in page.evaluate(FADED)
    assert opened.grave() == []
    pause(page, 600)
    assert "k=k-normalisation" in page.evaluate("location.hash")
    page.keyboard.press("Enter")
    assert page.evaluate(FADED) == []
    opened.assert_quiet()
