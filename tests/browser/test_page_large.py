"""Ten thousand nodes: the page is usable at once, and opens no more than it can bear."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from browser.conftest import pause
from draw.conftest import a_box, a_view

import composer
from composer.dag.sketch import Sketch
from composer.draw.picture import draw
from composer.page.comparison import render_difference
from composer.page.data import Network, page_data
from composer.page.render import render_page, write_page
from composer.page.views import Shared


def chain(path, boxes):
    names = [box.name for box in boxes]
    return replace(a_view(boxes, [("in:input", names[0]), *pairwise(names), (names[-1], "out:output")]), path=path)


def block(path):
    inner = chain(path, [replace(a_box(f"n{one}"), path=f"{path}.n{one}", detail=f"op {one}") for one in range(16)])
    return replace(a_box(path.rpartition(".")[2], inner=inner), path=path)


def stage(path):
    return a_box(path, inner=chain(path, [block(f"{path}.b{one}") for one in range(25)]))


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """Makes the page of a view, with as little else as there can be."""

    def made(view):
        graph = composer.graph({"name": "large", "input": [3, 8, 8], "nodes": {"act": "relu"}})
        data = page_data([Network("composed", "large", Sketch.of(graph), graph)])
        shared = Shared()
        root = shared.view(view)
        facts = {box.path: {"op": box.op, "kind": box.kind, "parameters": 1, "macs": 1} for box in view.walk()}
        data |= shared.tables() | {"networks": [data["networks"][0] | {"root": root}], "open": []}
        data["facts"] = {"composed": facts}
        file = tmp_path_factory.mktemp("large") / "large.html"
        file.write_text(write_page(draw(Sketch.of(graph)), data), encoding="utf-8")
        return file

    return made


def num_drawn(page):
    return page.locator("#drawing [data-path]").count()


def test_nested(open_page, large):
    opened = open_page(large(chain("", [stage(f"s{one}") for one in range(24)])))
    page = opened.page
    assert num_drawn(page) == 26
    page.get_by_role("button", name="Open everything").click()
    assert page.locator("#status.shown").text_content().startswith("Stopped at 599 boxes")
    # Whatever is open, only what is near has elements.
    page.evaluate(
        """composer.store.set({ open: new Set([...composer.store.network().entries]
            .filter(([, { box }]) => box.inner).map(([path]) => path)) })"""
    )
    assert 20 < num_drawn(page) < 300
    page.keyboard.press("/")
    page.keyboard.type("s20.b7.n9")
    page.keyboard.press("Enter")
    pause(page, 350)
    box = page.locator('#drawing [data-path="s20.b7.n9"]').bounding_box()
    assert 0 < box["y"] < 800
    assert num_drawn(page) < 300
    opened.assert_quiet()


def test_flat(open_page, large):
    opened = open_page(large(chain("", [a_box(f"n{one}") for one in range(10_000)])))
    page = opened.page
    assert 10 < num_drawn(page) < 300
    page.locator("#drawing").focus()
    page.keyboard.press("End")
    pause(page, 350)
    selected = page.locator('#drawing [aria-selected="true"]')
    assert selected.get_attribute("data-path") == "n9999"
    assert page.locator("#drawing").get_attribute("aria-activedescendant") == selected.get_attribute("id")
    assert 0 < selected.bounding_box()["y"] < 800
    opened.assert_quiet()


ELEMENTS = "document.querySelectorAll('*').length"


def spec(tmp_path, name, nodes):
    """A spec file with a node a line, whose text is as long as it is."""
    file = tmp_path / f"{name}.yaml"
    lines = [f"  {node}: {op}" for node, op in nodes.items()]
    file.write_text("\n".join(["input: [3, 8, 8]", "nodes:", *lines, ""]), encoding="utf-8")
    return composer.graph(file)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A network of 10,000 nodes, and the same without a hundredth of them."""
    folder = tmp_path_factory.mktemp("written")
    nodes = {f"n{one}": "relu" if one % 2 else "gelu" for one in range(10_000)}
    return spec(folder, "all", nodes), spec(
        folder, "fewer", {name: op for name, op in nodes.items() if name[-2:] != "50"}
    )


def test_what_nobody_sees_has_no_elements(open_page, written, tmp_path):
    graph, _ = written
    file = tmp_path / "page.html"
    file.write_text(render_page(Sketch.of(graph), graph), encoding="utf-8")
    opened = open_page(file)
    page = opened.page
    assert page.evaluate(ELEMENTS) <= 3000
    page.evaluate("composer.store.set({ panel: true })")
    page.keyboard.press("y")
    page.locator("#source .line").first.wait_for()
    assert page.evaluate(ELEMENTS) <= 3000
    # A line far away is there when it is wanted.
    page.evaluate("composer.store.select('n9000', { reveal: true })")
    line = page.locator("#source .line.current")
    assert line.inner_text().split() == ["9003", "n9000:", "gelu"]
    area, pane = line.bounding_box(), page.locator("#source .lines").bounding_box()
    assert pane["y"] <= area["y"] <= pane["y"] + pane["height"]
    assert page.evaluate(ELEMENTS) <= 3000
    line.click()
    page.keyboard.press("ArrowDown")
    assert page.evaluate("document.activeElement.textContent.includes('n9001')")
    page.keyboard.press("End")
    page.keyboard.press("Enter")
    assert page.evaluate("composer.store.state.selected") == "n9999"
    page.locator("#source .lines").evaluate("one => { one.scrollTop = 0; }")
    page.locator("#source .line", has_text="n12:").wait_for()
    # The focus was on a line that is gone, and is still in the list.
    assert page.evaluate("document.activeElement.closest('#source') !== null")
    opened.assert_quiet()


def test_two_panes_have_as_little(open_page, written, tmp_path):
    file = tmp_path / "difference.html"
    file.write_text(render_difference(composer.diff(*written)), encoding="utf-8")
    opened = open_page(file, viewport={"width": 1440, "height": 900})
    page = opened.page
    assert page.locator("#drawing-before [data-path]").count() > 10
    assert page.evaluate(ELEMENTS) <= 6000
    page.evaluate("composer.panes[1].store.select('n9060', { reveal: true })")
    pause(page, 350)
    before, after = (
        page.locator(f'{one} [data-path="n9060"]').bounding_box() for one in ("#drawing-before", "#drawing")
    )
    assert abs(before["y"] - after["y"]) <= 1
    opened.assert_quiet()


@pytest.fixture
def chained(open_page, tmp_path):
    """The page of a chain of 3,000 nodes."""
    convolution = {"op": "conv2d", "out_channels": 8, "kernel_size": 3, "padding": 1}
    nodes = {f"n{one}": "relu" if one % 2 else convolution for one in range(3000)}
    graph = composer.graph({"name": "chain", "input": [3, 8, 8], "nodes": nodes})
    file = tmp_path / "chain.html"
    file.write_text(render_page(Sketch.of(graph), graph), encoding="utf-8")
    opened = open_page(file, reduced_motion="reduce")
    yield opened.page
    opened.assert_quiet()


def test_the_small_map_shows_thousands_of_boxes(chained):
    assert chained.evaluate(ELEMENTS) <= 3000
    whole = chained.locator("#minimap").bounding_box()
    shape = chained.evaluate("document.querySelector('#minimap g').getBBox().height")
    assert shape > 0.9 * whole["height"]
    assert chained.locator("#minimap path.box").count() == 3
    assert chained.evaluate("document.querySelector('#minimap path.box').getBBox().width") > 8
    # Where it is pressed, the drawing is looked at.
    chained.mouse.click(whole["x"] + whole["width"] / 2, whole["y"] + whole["height"] / 2)
    assert chained.locator('#drawing [data-path="n1500"]').count() == 1
    assert chained.evaluate(ELEMENTS) <= 3000


def test_all_of_thousands_of_boxes_fits(chained):
    chained.keyboard.press("f")
    canvas, shape = (chained.locator(one).bounding_box() for one in ("#canvas", "#drawing .crowd"))
    assert canvas["y"] <= shape["y"]
    assert shape["y"] + shape["height"] <= canvas["y"] + canvas["height"]
    assert shape["height"] > 0.9 * canvas["height"]
    assert num_drawn(chained) == 0
    assert chained.evaluate(ELEMENTS) <= 3000
    assert chained.locator("#zoom .scale").inner_text() == "0.5%"
    assert chained.locator("#minimap.gone").count() == 1
    # Nearer, boxes are boxes again.
    while chained.evaluate("composer.scene.viewport.get().scale") < 0.5:
        chained.keyboard.press("+")
        assert chained.evaluate(ELEMENTS) <= 6000
    assert 5 < num_drawn(chained) <= 600
    assert chained.locator("#drawing .crowd path").count() == 0
