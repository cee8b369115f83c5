"""Ten thousand nodes: the page is usable at once, and opens no more than it can bear."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from draw.conftest import a_box, a_view

import composer
from composer.dag.sketch import Sketch
from composer.draw.picture import draw
from composer.page.data import Network, page_data
from composer.page.render import write_page
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
    page.wait_for_timeout(350)
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
    page.wait_for_timeout(350)
    selected = page.locator('#drawing [aria-selected="true"]')
    assert selected.get_attribute("data-path") == "n9999"
    assert page.locator("#drawing").get_attribute("aria-activedescendant") == selected.get_attribute("id")
    assert 0 < selected.bounding_box()["y"] < 800
    opened.assert_quiet()
