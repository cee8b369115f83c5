"""Numbers of nodes on a page: its static picture, its boxes, its legend."""

from __future__ import annotations

import pytest
from browser.conftest import pause

from composer import build, graph
from composer.dag.sketch import Sketch
from composer.draw.picture import Wish
from composer.draw.values import Values
from composer.draw.written import figures
from composer.page.render import render_page

# Fill, ink and words of every box of a picture.
LOOKS = """root => Object.fromEntries([...document.querySelectorAll(`${root} g[data-path]`)]
    .filter(group => !group.matches(".frame") && !group.dataset.path.includes(":"))
    .map(group => {
        const own = [...group.children];
        const words = own.filter(one => one.matches("text"));
        return [group.dataset.path, [
            getComputedStyle(own.find(one => one.matches("rect.box"))).fill,
            ...words.map(one => `${one.textContent} ${getComputedStyle(one).fill}`).sort()]];
    }))"""


@pytest.fixture
def page_by(tmp_path, open_page):
    def opened(source, colour, values=(), fragment="", **options):
        network = graph(source)
        file = tmp_path / "net.html"
        wish = Wish(colour=colour, depth=2)
        file.write_text(render_page(Sketch.of(network), network, wish, values=values), encoding="utf-8")
        return open_page(file, fragment, reduced_motion="reduce", **options)

    return opened


@pytest.mark.parametrize(
    ("colour", "scheme"),
    [
        *(("macs", "dark"), ("memory", "light"), ("mine", "dark")),
        *(
            pytest.param(*one, marks=pytest.mark.slow)
            for one in (("macs", "light"), ("memory", "dark"), ("mine", "light"))
        ),
    ],
)
def test_the_script_shows_what_was_drawn(page_by, scheme, colour):
    numbers = {"conv1": -0.25, "layer1.0": 1.5, "layer1.1": 2.5, "layer1.2": 3.75, "fc": None, "layer2.0": 1e-9}
    mine = [Values("mine", "mine", "My number", numbers)]
    drawn = page_by("papers/cbam/resnet50", colour, mine, java_script_enabled=False, color_scheme=scheme)
    shown = page_by("papers/cbam/resnet50", colour, mine, color_scheme=scheme)
    before = drawn.page.evaluate(LOOKS, "#canvas > svg")
    after = shown.page.evaluate(LOOKS, "#drawing")
    assert len(before) > 12
    assert before == after
    shown.assert_quiet()


def test_a_page_opens_as_it_is_asked_and_a_link_may_say_otherwise(page_by):
    page = page_by("resnet18", "memory").page
    assert page.locator("#toolbar select").input_value() == "memory"
    assert "Bytes per example" in page.locator("#legend").inner_text()
    assert "logarithmic" in page.locator("#legend").inner_text()
    page = page_by("resnet18", "memory", fragment="c=kind").page
    assert page.locator("#toolbar select").input_value() == "kind"
    page.evaluate("composer.store.set({ colour: 'memory' })")
    pause(page, 600)
    assert "c=" not in page.url


def test_both_networks_have_one_scale(page_by):
    page = page_by("papers/se/resnet50", "parameters").page
    ticks = page.locator("#legend .ticks").inner_text()
    page.evaluate("composer.store.set({ network: 'base' })")
    assert page.locator("#legend .ticks").inner_text() == ticks


def test_what_was_measured_is_of_the_first_network(page_by):
    page = page_by("papers/se/resnet50", "mine", [Values("mine", "mine", "My number", {"conv1": 2.0, "fc": 3.0})]).page
    words = page.locator('#drawing [data-path="conv1"] > text')
    assert words.all_text_contents() == ["conv1", "2"]
    page.evaluate("composer.store.set({ network: 'base' })")
    assert words.all_text_contents() == ["conv1", "7×7 conv2d, 64, /2"]
    assert "not known of this network" in page.locator("#legend").inner_text()


def test_the_panel_has_what_was_measured_and_how_weights_are_distributed(tmp_path, open_page):
    network = graph("resnet18")
    model = build("resnet18")
    values = [Values("mine", "mine", "My number", {"conv1": 2.0}), Values("other", "other", "Other", {"fc": 2.0})]
    file = tmp_path / "net.html"
    file.write_text(render_page(Sketch.of(network), network, values=values, module=model), encoding="utf-8")
    opened = open_page(file, "s=conv1")
    panel = opened.page.locator("#panel")
    section = panel.locator("section", has=opened.page.get_by_role("heading", name="Measured"))
    assert section.locator("tr").all_inner_texts() == ["mine\t2"]
    weight = model.state_dict()["conv1.weight"]
    label = panel.locator(".histogram svg").get_attribute("aria-label")
    least, most = (figures(float(one)) for one in weight.aminmax())
    assert label.startswith(f"Distribution from {least} to {most}, mean ")
    assert panel.locator(".histogram path").get_attribute("d").count("M") == 64
    assert opened.grave() == []
    opened.assert_quiet()


def test_a_box_in_a_stack_tells_of_all_copies_and_an_open_block_of_itself(page_by, tmp_path):
    numbers = {"layer1": 0.91, "layer1.0.conv1": 0.0, "layer1.1.conv1": 0.5, "layer2.0.conv1": 0.4}
    mine = [Values("mine", "mine", "Mine", numbers)]
    page = page_by("resnet18", "mine", mine).page
    words = "path => [...document.querySelector(`#drawing [data-path='${path}']`).children].map(one => one.textContent)"
    assert "0 … 0.5" in page.evaluate(words, "layer1.0.conv1")
    assert "0.91" in page.evaluate(words, "layer1")
    assert page.locator("#legend .ticks span").all_inner_texts()[-1] == "0.91"
    page.evaluate("composer.store.set({ open: new Set() })")
    assert "0.91" in page.evaluate(words, "layer1")
