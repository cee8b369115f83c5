"""Names are data: they do no harm, and long ones do not burst their boxes."""

from __future__ import annotations

from dataclasses import replace

import pytest
from draw.conftest import a_box, a_view

import composer
from composer.dag.sketch import Sketch
from composer.draw.picture import draw
from composer.page.data import Network, page_data
from composer.page.render import write_page
from composer.page.views import Shared

HOSTILE = [
    "</script><img src=x onerror=alert(1)>",
    "\"'`&<b>",
    "\u202eright-to-left\u2066",
    "]]>--><svg onload=alert(2)>",
    "x" * 250,
]


@pytest.fixture(params=HOSTILE)
def opened(request, open_page, tmp_path):
    """The page of a network whose every word is hostile, whether specs may hold it or not."""
    name = request.param
    inner = a_view([a_box("conv", label=name, detail=name), a_box("b")], [("in:x", "conv"), ("conv", "b")], ["x"], [])
    deep = replace(a_box(f"{name}.stage", inner=inner, label=name, op=name), path=f"{name}.stage")
    boxes = [replace(a_box(name), path=name, detail=name, shapes={"": name}), deep]
    wires = [(f"in:{name}", name), (name, deep.name), (deep.name, f"out:{name}")]
    view = a_view(boxes, wires, [name], [name])
    view = replace(view, edges=tuple(replace(edge, source=edge.source or name, shape=name) for edge in view.edges))
    graph = composer.graph(
        {"name": name if name.isprintable() else "net", "input": [3, 8, 8], "nodes": {"x" * 60: "relu"}}
    )
    data = page_data([Network("composed", name, Sketch.of(graph), graph)])
    shared = Shared()
    root = shared.view(view)
    facts = {box.path: {"op": name, "kind": name, "parameters": 1, "macs": 1} for box in view.walk()}
    data = (
        data
        | {"name": name}
        | shared.tables()
        | {"networks": [data["networks"][0] | {"root": root}], "open": [deep.path]}
    )
    data["facts"] = {"composed": data["facts"]["composed"] | facts}
    file = tmp_path / "hostile.html"
    file.write_text(write_page(draw(Sketch.of(graph)), data), encoding="utf-8")
    return open_page(file)


def test_they_do_no_harm(opened):
    page = opened.page
    for key in ("End", "Enter", "ArrowRight", "y", "?", "Escape", "/", "x"):
        page.keyboard.press(key)
    assert page.locator("img, b").count() == 0
    assert page.locator("script").count() == 2
    assert "\u202e" not in page.locator("body").inner_text()
    opened.assert_quiet()
    assert opened.grave() == []


def test_words_stay_in_their_boxes(opened):
    page = opened.page
    outside = page.evaluate(
        """() => [...document.querySelectorAll("#drawing g > rect.box")].flatMap(box => {
            const room = box.getBoundingClientRect();
            return [...box.parentNode.children].filter(one => one.matches("text:not(.badge)"))
                .filter(one => one.getBoundingClientRect().right > room.right + 1)
                .map(one => one.textContent);
        })"""
    )
    assert outside == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
