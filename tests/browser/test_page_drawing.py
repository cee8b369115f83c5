"""The page's drawing: it takes over from the static one, opens in place, and says nothing to anybody."""

from __future__ import annotations

from itertools import combinations

import pytest
from browser.conftest import READY

import composer
from composer.dag.sketch import Sketch
from composer.draw.build import build_view
from composer.draw.layout import lay_out
from composer.draw.view import opened_at

SE = "papers/se/resnet50"
# Of folded boxes, the last rectangle; the others are the sheets under it.
ABSOLUTE = """path => { const found = [...document.querySelectorAll(`[data-path="${path}"] > rect.box`)].at(-1);
    const { x, y, width, height } = found.getBoundingClientRect(); return [x, y, width, height] }"""


def place(page, path):
    return page.evaluate(ABSOLUTE, path)


def still(page):
    """Waits until nothing moves: two looks, a tenth of a second apart, see the same."""
    page.evaluate("globalThis.seen = null")
    page.wait_for_function(
        """() => {
            const moved = [...document.querySelectorAll("#drawing g[transform]")];
            const now = moved.map(one => one.getAttribute("transform")).join();
            const before = globalThis.seen;
            globalThis.seen = now;
            return now === before;
        }""",
        polling=100,
    )


def toggle(page, path):
    page.locator(f'[data-path="{path}"] > .toggle').click()
    still(page)


@pytest.fixture
def se(open_page, page_of):
    opened = open_page(page_of(SE))
    yield opened.page
    opened.assert_quiet()


@pytest.mark.parametrize("scheme", ["light", pytest.param("dark", marks=pytest.mark.slow)])
def test_it_is_quiet_and_accessible(open_page, page_of, scheme):
    opened = open_page(page_of(SE), color_scheme=scheme)
    page = opened.page
    assert opened.grave() == []
    page.locator('[data-path="conv1"]').click()
    page.locator('[data-path="layer2.0"] > .toggle').click()
    still(page)
    assert opened.grave() == []
    page.keyboard.press("i")
    page.keyboard.press("/")
    page.keyboard.type("se")
    assert opened.grave() == []
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    assert page.locator("dialog[open]").count() == 1
    assert opened.grave() == []
    opened.assert_quiet()


@pytest.mark.parametrize("width", [1280, 900])
def test_nothing_jumps_when_the_script_takes_over(open_page, page_of, width):
    size = {"width": width, "height": 800}
    before = open_page(page_of(SE), java_script_enabled=False, viewport=size).page
    after = open_page(page_of(SE), viewport=size).page
    for path in ("conv1", "layer1", "layer2.1", "fc"):
        assert place(after, path) == pytest.approx(place(before, path), abs=1.5)


def test_without_a_script_the_picture_is_there(open_page, page_of):
    opened = open_page(page_of(SE), java_script_enabled=False)
    assert opened.page.locator("[data-path=layer4]").is_visible()


def test_a_container_opens_in_place(se):
    # With room for all of it below.
    se.evaluate("composer.scene.viewport.pan(0, -500)")
    before = place(se, "layer2.0")
    toggle(se, "layer2.0")
    group = se.locator('[data-path="layer2.0"]')
    assert group.get_attribute("aria-expanded") == "true"
    assert se.locator('[data-path="layer2.0.se"]').count() == 1
    after = place(se, "layer2.0")
    assert after[:2] == pytest.approx(before[:2], abs=1)
    assert after[3] > before[3]
    toggle(se, "layer2.0")
    assert group.get_attribute("aria-expanded") == "false"
    assert se.locator('[data-path="layer2.0.se"]').count() == 0
    assert place(se, "layer2.0") == pytest.approx(before, abs=1)


def test_a_double_click_opens_too_and_a_click_selects(se):
    se.locator('[data-path="layer1.0"]').dblclick(position={"x": 60, "y": 10})
    still(se)
    assert se.locator('[data-path="layer1.0.conv1"]').count() == 1
    se.locator('[data-path="layer1.0.conv1"]').click()
    selected = se.locator('#drawing [aria-selected="true"]')
    assert selected.get_attribute("data-path") == "layer1.0.conv1"
    assert se.locator("#drawing").get_attribute("aria-activedescendant") == selected.get_attribute("id")
    se.locator("#panel").wait_for()
    se.mouse.click(60, 400)
    assert se.locator('#drawing [aria-selected="true"]').count() == 0


# Corner and width of everything that is drawn, by path: as it is on the page, and as it was laid out.
DRAWN = """() => Object.fromEntries([...document.querySelectorAll("#drawing [data-path]")].map(group => {
    const { e, f } = group.transform.baseVal.consolidate()?.matrix ?? { e: 0, f: 0 };
    const box = group.querySelector(":scope > rect.box:not(.sheet)");
    return [group.dataset.path, [e, f, Number(box.getAttribute("width"))]];
}))"""
LAID_OUT = """() => {
    const all = ({ boxes }) => boxes.flatMap(({ box, name, x, y, width, inside }) =>
        [[box?.path ?? name, [x, y, width]], ...(inside ? all(inside) : [])]);
    return Object.fromEntries(all(composer.scene.layout()));
}"""
STAGES = {"layer1", "layer2", "layer3", "layer4"}


@pytest.mark.parametrize("paths", [set(), STAGES, {"layer1", "layer1.0", "layer3", "layer3.1"}])
def test_what_is_drawn_is_what_is_laid_out(se, paths):
    se.evaluate("paths => composer.store.set({ open: new Set(paths) })", sorted(paths))
    still(se)
    found = se.evaluate(DRAWN)
    assert found.keys() >= paths
    assert found == se.evaluate(LAID_OUT)
    if paths and paths != STAGES:
        return
    # What is all closed, or open as at first, is as Python lays it out.
    expected = {}

    def walk(view, layout):
        for placed in layout.boxes:
            box = view.by_name.get(placed.name)
            expected[box.path if box else placed.name] = [placed.x, placed.y, placed.width]
            if placed.inside is not None:
                walk(box.inner, placed.inside)

    view = opened_at(build_view(Sketch.of(composer.graph(SE))), paths)
    walk(view, lay_out(view, role="whole"))
    assert found == expected


# Of each container: its frame, its boxes (without the sheets under them) and the ends of its wires, as they are seen.
SEEN = """() => [...document.querySelectorAll("#drawing .inside")].map(inside => {
    const rectangle = group => {
        const box = group.querySelector(":scope > rect.box:not(.sheet)").getBoundingClientRect();
        return [box.left, box.right, box.top, box.bottom];
    };
    const around = inside.closest("[data-path], [data-inset]");
    const seen = (wire, at) => {
        const { x, y } = wire.getPointAtLength(at).matrixTransform(wire.getScreenCTM());
        return [x, y];
    };
    return {
        frame: around && rectangle(around),
        boxes: [...inside.querySelectorAll(":scope > .boxes > g")].map(rectangle),
        wires: [...inside.querySelectorAll(":scope > .wires > path.wire")].map(
            wire => [wire.querySelector("title").textContent, seen(wire, 0), seen(wire, wire.getTotalLength())]),
    };
})"""
HEADER, ARROW, SHEETS = 24, 7, 6


@pytest.mark.parametrize(
    "name",
    [SE, "vit_tiny_patch16_224", *(pytest.param(one, marks=pytest.mark.slow) for one in ("densenet121", "googlenet"))],
)
def test_no_boxes_overlap_and_every_wire_ends_on_its_boxes(open_page, page_of, name):
    page = open_page(page_of(name), reduced_motion="reduce").page
    page.evaluate("() => composer.scene.viewport.set({ x: 0, y: 0, scale: 1 }, false)")
    boxes = page.locator("#drawing [data-path][aria-expanded=false]")
    paths = [boxes.nth(index).get_attribute("data-path") for index in range(min(3, boxes.count()))]
    page.evaluate("more => composer.store.set({ open: new Set([...composer.store.state.open, ...more]) })", paths)
    still(page)
    containers = page.evaluate(SEEN)
    assert len(containers) > len(paths)
    for one in containers:
        for box, other in combinations(one["boxes"], 2):
            assert box[1] <= other[0] or other[1] <= box[0] or box[3] <= other[2] or other[3] <= box[2]
        left, right, top, bottom = one["frame"] or (0, 0, 0, 0)
        starts = [(box[0], box[1], box[3]) for box in one["boxes"]] + [(left, right, top + HEADER)]
        ends = [(box[0], box[1], box[2]) for box in one["boxes"]] + [(left, right, bottom)]
        for words, start, end in one["wires"]:
            assert any(a <= start[0] <= b and -1 <= start[1] - y <= SHEETS + 1 for a, b, y in starts), words
            assert any(a <= end[0] <= b and -1 <= y - end[1] <= ARROW for a, b, y in ends), words


def test_those_who_want_no_motion_get_none(open_page, page_of):
    page = open_page(page_of(SE), reduced_motion="reduce").page
    moved = page.evaluate(
        """() => { const group = document.querySelector('[data-path="fc"]');
            const before = group.getAttribute("transform");
            const button = document.querySelector('[data-path="layer2.0"] > .toggle');
            button.dispatchEvent(new MouseEvent("click", { bubbles: true }));
            return before !== group.getAttribute("transform"); }"""
    )
    assert moved


def test_with_motion_things_are_on_their_way_at_first(se):
    places = se.evaluate(
        """async () => { const group = document.querySelector('[data-path="fc"]');
            const at = () => group.transform.baseVal.consolidate().matrix.f;
            const first = at();
            const button = document.querySelector('[data-path="layer2.0"] > .toggle');
            button.dispatchEvent(new MouseEvent("click", { bubbles: true }));
            const start = at();
            await new Promise(done => setTimeout(done, 600));
            return [first, start, at()]; }"""
    )
    assert places[0] == places[1] < places[2]


def test_the_base_network_and_back(se):
    toggle(se, "layer1.0")
    se.locator('[data-path="layer1.0.conv1"]').click()
    se.get_by_role("radio", name="without attention").click()
    still(se)
    assert se.locator('[data-path="layer1.0.se"]').count() == 0
    assert se.locator('#drawing [aria-selected="true"]').get_attribute("data-path") == "layer1.0.conv1"
    se.keyboard.press("b")
    still(se)
    assert se.locator('[data-path="layer1.0.se"]').count() == 1


def test_only_inserted_opens_what_holds_it(se):
    se.get_by_role("button", name="Only inserted").click()
    still(se)
    assert se.locator("#drawing.only-inserted").count() == 1
    assert se.locator("#drawing .inserted").count() == 8
    assert se.locator(".inserted.faded").count() == 0
    assert se.locator('[data-path="layer1.0.conv1"].faded').count() == 1
    se.keyboard.press("i")
    assert se.locator(".faded").count() == 0


def test_everything_opens_and_closes(se):
    button = se.get_by_role("button", name="Open everything")
    button.click()
    still(se)
    # Of mechanisms, nobody asked for the steps.
    closed = se.locator('#drawing [data-path][aria-expanded="false"]')
    assert closed.count() == se.locator("#drawing [data-path].inserted").count() > 0
    button.click()
    still(se)
    assert se.locator('#drawing [aria-expanded="true"]').count() == 0


def test_the_theme_is_the_readers(open_page, page_of):
    page = open_page(page_of(SE), color_scheme="light").page
    paper = "() => getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(paper)
    page.get_by_role("button", name="Theme: auto").click()
    assert page.evaluate(paper) == light
    page.get_by_role("button", name="Theme: light").click()
    assert page.evaluate(paper) != light
    page.reload()
    page.wait_for_function(READY)
    assert page.get_by_role("button", name="Theme: dark").count() == 1
    assert page.evaluate(paper) != light


def test_to_the_right(open_page, tmp_path):
    from composer.draw.picture import Wish
    from composer.page.render import render_page

    graph = composer.graph("resnet18")
    file = tmp_path / "net.html"
    file.write_text(render_page(Sketch.of(graph), graph, Wish(direction="LR")), encoding="utf-8")
    opened = open_page(file)
    first, last = place(opened.page, "conv1"), place(opened.page, "layer1")
    assert last[0] > first[0] + first[2]
    opened.assert_quiet()
