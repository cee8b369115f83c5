"""Equations in the panel: MathML that says what the docstring says."""

from __future__ import annotations

import pytest

from composer.docstring import sections
from composer.index.card import cards
from composer.mathml import lines

EQUATIONS = {card.name: found for card in cards("mechanism") if (found := sections(card.doc).get("Math"))}


def text_in(tree):
    return tree if isinstance(tree, str) else "".join(map(text_in, tree[1:]))


@pytest.fixture
def page(open_page, page_of):
    opened = open_page(page_of("papers/se/resnet50"), "s=layer1.0.se", reduced_motion="reduce")
    yield opened.page
    assert opened.grave() == []
    opened.assert_quiet()


def test_an_equation_is_mathml(page):
    found = page.locator("#panel .equation")
    assert found.locator("math").count() > 3
    assert found.locator("math msub").first.evaluate("one => one.namespaceURI").endswith("MathML")
    fits = "one => one.scrollWidth <= one.clientWidth"
    assert found.evaluate(fits)
    below, name = (found.locator(f"math msub > {part}").first.bounding_box() for part in ("mn", "mi"))
    assert below["y"] + below["height"] > name["y"] + name["height"], "what is below is below"


def test_every_equation_says_all_of_its_own(page):
    """As the panel shows it, in place of SE's."""
    show = """([name, math]) => {
        const { store } = composer;
        store.data.tables.operations.se.math = math;
        store.set({ selected: null });
        store.select("layer1.0.se");
        return document.querySelector("#panel .equation").textContent;
    }"""
    assert len(EQUATIONS) > 80
    for name, text in EQUATIONS.items():
        trees = lines(text)
        assert page.evaluate(show, [name, trees]) == "".join(map(text_in, trees)), name
