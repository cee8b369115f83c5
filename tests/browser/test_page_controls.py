"""Every control lies inside the window, and no two of them overlap, at every width from 320 to 1920."""

from __future__ import annotations

import pytest

import composer
from composer import diff
from composer.dag.sketch import Sketch, sketch
from composer.errors import GraphError
from composer.page.comparison import render_difference
from composer.page.render import render_page

WIDTHS = range(320, 1921, 20)
# Where the page's layout changes, and some between.
TELLING = (320, 340, 420, 560, 700, 820, 840, 980, 1000, 1100, 1120, 1360, 1640, 1920)
HEIGHTS = (568, 900)

# Of each control the part that is seen: panes scroll. Radio buttons are as large as what is written on them.
FAULTS = """() => {
    const found = [];
    const nameOf = one => one.getAttribute("aria-label") || one.textContent.trim() || one.value || one.id;
    const seen = [];
    for (const one of document.querySelectorAll("button, input, select, summary, textarea, a")) {
        const area = one.getBoundingClientRect();
        let [left, top, right, bottom] = [area.left, area.top, area.right, area.bottom];
        if (!one.checkVisibility({ checkVisibilityCSS: true })) continue;
        const legend = one.closest("#dock > #legend, #page > #legend .kinds");
        if (legend) {
            const its = legend.getBoundingClientRect();
            if (left < its.left || right > its.right) found.push(`${nameOf(one)} leaves the legend`);
        }
        const pane = one.closest("#source .lines, .tabs, #panel, #results") || legend;
        if (pane) {
            const around = pane.getBoundingClientRect();
            [top, bottom] = [Math.max(top, around.top), Math.min(bottom, around.bottom)];
            if (!one.closest("#panel")) [left, right] = [Math.max(left, around.left), Math.min(right, around.right)];
            if (right - left < 1 || bottom - top < 1) continue;
        }
        // Links in words may go on in another line.
        if (getComputedStyle(one).display !== "inline") seen.push([one, left, top, right, bottom]);
        if (left < -0.5 || top < -0.5 || right > innerWidth + 0.5 || bottom > innerHeight + 0.5)
            found.push(`${nameOf(one)} leaves the window`);
        else if (!pane && right - left < 8) found.push(`${nameOf(one)} has no room`);
    }
    seen.forEach(([one, left, top, right, bottom], at) => {
        for (const [other, l, t, r, b] of seen.slice(at + 1)) {
            const across = Math.min(right, r) - Math.max(left, l);
            const down = Math.min(bottom, b) - Math.max(top, t);
            // In the panel that scrolls, what stays in sight lies over what moves on.
            const isSticky = [one, other].some(control => getComputedStyle(control).position === "sticky");
            if (across > 1 && down > 1 && !isSticky) found.push(`${nameOf(one)} and ${nameOf(other)} overlap`);
        }
    });
    if (document.documentElement.scrollWidth > innerWidth) found.push("the window scrolls sideways");
    if (document.documentElement.scrollHeight > innerHeight) found.push("the window scrolls down");
    return found;
}"""
FRAME = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"

BROKEN = {
    "name": "broken",
    "input": [3, 32, 32],
    "nodes": {
        "conv": {"op": "conv2d", "out_channels": 8, "kernel_size": 3},
        "wrong": {"op": "conv2d", "out_channels": 8, "kernel_size": 3, "groups": 3},
        "after": "relu",
    },
}


def _plain():
    graph = composer.graph("papers/se/resnet50")
    return render_page(Sketch.of(graph), graph, seconds={"conv1": 0.5})


def _compared():
    return render_difference(diff("resnext50_32x4d", "papers/sk/resnext50_32x4d"))


def _broken():
    try:
        composer.graph(BROKEN)
    except GraphError as error:
        return render_page(sketch(composer.load(BROKEN), error.diagnostics))
    raise AssertionError("it has a mistake")


@pytest.fixture(scope="module")
def file_of(tmp_path_factory):
    from functools import cache

    @cache
    def made(page):
        file = tmp_path_factory.mktemp("page") / "page.html"
        file.write_text({"plain": _plain, "compared": _compared, "broken": _broken}[page](), encoding="utf-8")
        return file

    return made


@pytest.mark.parametrize("panes", ["closed", "panel", "source", "kinds", "panel source", "panel source kinds"])
@pytest.mark.parametrize("page", ["plain", "compared", "broken"])
@pytest.mark.parametrize(
    "widths", [pytest.param(TELLING, id="some"), pytest.param(WIDTHS, id="all", marks=pytest.mark.slow)]
)
def test_every_control_is_in_the_window_at_every_width(open_page, file_of, page, panes, widths):
    opened = open_page(file_of(page), reduced_motion="reduce")
    opened.page.evaluate(FRAME)
    shown = [f"composer.store.set({{ {one}: {str(one in panes).lower()} }})" for one in ("panel", "source")]
    if "kinds" in panes:
        opened.page.evaluate("document.querySelector('#legend details').open = true")
    faults = {}
    for height in HEIGHTS:
        for width in widths:
            opened.page.set_viewport_size({"width": width, "height": height})
            # Where there is room for one, the other closes.
            for one in shown:
                opened.page.evaluate(one)
            opened.page.evaluate(FRAME)
            faults[width, height] = opened.page.evaluate(FAULTS)
    assert {size: found for size, found in faults.items() if found} == {}
    opened.assert_quiet()


def test_a_window_that_becomes_narrow_keeps_one_pane(open_page, file_of):
    page = open_page(file_of("plain")).page
    page.evaluate("composer.store.set({ panel: true, source: true })")
    page.set_viewport_size({"width": 900, "height": 800})
    page.locator("#source").wait_for(state="hidden")
    assert page.locator("#panel").is_visible()


def test_the_test_finds_what_is_wrong(open_page, file_of):
    page = open_page(file_of("plain")).page
    page.evaluate("document.querySelector('#zoom').style.transform = 'translate(60px, 0)'")
    assert any("leaves the window" in fault for fault in page.evaluate(FAULTS))
    page.evaluate("document.querySelector('#zoom').style.transform = 'translate(0, -600px)'")
    page.evaluate("document.querySelector('#zoom').style.right = '0'")
    page.evaluate("document.querySelector('#query').style.width = '1000px'")
    assert any("overlap" in fault for fault in page.evaluate(FAULTS))
    page.evaluate("document.querySelector('#legend details').open = true")
    assert not any("the legend" in fault for fault in page.evaluate(FAULTS))
    page.evaluate("document.querySelector('#legend').style.width = '50px'")
    assert any("leaves the legend" in fault for fault in page.evaluate(FAULTS))
