"""The page in windows of every width: a phone, a notebook's cell, a laptop."""

from __future__ import annotations

import pytest

from composer import diff
from composer.page.comparison import render_difference

WIDTHS = range(320, 1401, 18)

# What of the head is outside the window, under something else, or on something else.
FAULTS = """() => {
    const found = [];
    const shown = [...document.querySelectorAll("#head h1, #head p, #head button, #head input, #head select")]
        .filter(one => one.getClientRects().length);
    const controls = shown.map(one => [one, one.getBoundingClientRect()]);
    const nameOf = one => one.getAttribute("aria-label") || one.textContent || one.value || one.id;
    for (const [one, area] of controls) {
        if (area.left < 0 || area.right > innerWidth + 0.5) found.push(`${nameOf(one)} leaves the window`);
        const hit = document.elementFromPoint(area.left + area.width / 2, area.top + area.height / 2);
        if (area.width < 8 && one.tagName !== "P") found.push(`${nameOf(one)} has no room`);
        else if (area.width > 8 && hit !== one && !one.contains(hit) && !hit?.contains(one))
            found.push(`${nameOf(one)} is covered`);
        for (const [other, its] of controls) {
            const across = Math.min(area.right, its.right) - Math.max(area.left, its.left);
            const down = Math.min(area.bottom, its.bottom) - Math.max(area.top, its.top);
            if (one !== other && across > 1 && down > 1) found.push(`${nameOf(one)} and ${nameOf(other)} overlap`);
        }
    }
    if (document.documentElement.scrollWidth > innerWidth) found.push("the window scrolls sideways");
    return found;
}"""


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    """The page of a difference, whose networks have long names."""
    file = tmp_path_factory.mktemp("page") / "difference.html"
    file.write_text(render_difference(diff("resnext50_32x4d", "papers/sk/resnext50_32x4d")), encoding="utf-8")
    return file


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("page", ["network", "difference"])
def test_every_control_is_in_the_window(open_page, page_of, compared, page, scheme):
    file = compared if page == "difference" else page_of("papers/se/resnet50")
    opened = open_page(file, color_scheme=scheme)
    faults = {}
    for width in WIDTHS:
        opened.page.set_viewport_size({"width": width, "height": 700})
        faults[width] = opened.page.evaluate(FAULTS)
    assert {width: found for width, found in faults.items() if found} == {}
    opened.assert_quiet()
