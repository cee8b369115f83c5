"""A difference in two panes: what is done in one is done in the other."""

from __future__ import annotations

import pytest
from browser.conftest import pause

from composer import diff
from composer.page.comparison import render_difference

BEFORE = {"backbone": "resnet18", "attention": [{"use": "se", "after": "branch"}]}
AFTER = {
    "backbone": "resnet18",
    "attention": [{"use": "se", "after": "branch", "where": "stage > 2"}, {"remove": "layer[12].*.bn1"}],
}
WIDE = {"width": 1440, "height": 900}
LOOKS = "composer.panes.map(({ scene }) => scene.viewport.get())"
ASIDE = {"panel": False}


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    file = tmp_path_factory.mktemp("page") / "difference.html"
    file.write_text(render_difference(diff(BEFORE, AFTER)), encoding="utf-8")
    return file


@pytest.fixture
def opened(open_page, file):
    opened = open_page(file, viewport=WIDE, reduced_motion="reduce")
    yield opened
    opened.assert_quiet()


def box(page, path, pane="drawing"):
    return page.locator(f'#{pane} [data-path="{path}"]')


def before(page, path):
    return box(page, path, "drawing-before")


def expanded(page, path):
    return [one.get_attribute("aria-expanded") for one in (before(page, path), box(page, path))]


def middle(locator):
    area = locator.bounding_box()
    return area["y"] + area["height"] / 2


def choose(page, pane, path):
    page.evaluate(f"composer.panes[{pane}].store.select('{path}', {{ reveal: true, panel: false }})")
    pause(page, 50)


def test_both_are_shown_and_marked(opened):
    page = opened.page
    left, right = (page.locator(one).bounding_box() for one in ("#before", "#canvas"))
    assert left["x"] + left["width"] <= right["x"]
    assert abs(left["width"] - right["width"]) <= 1
    assert page.locator("#toolbar fieldset").is_hidden()
    choose(page, 0, "layer1.0.bn1")
    assert box(page, "layer1.0.bn1").get_attribute("class") == "ghost selected"
    fill = before(page, "layer1.0.bn1").locator("> rect.box").first.evaluate("one => one.style.fill")
    assert fill == "var(--removed-fill)"
    legend = page.locator("#legend").inner_text()
    assert "removed" in legend
    assert "where something was removed" in legend
    assert opened.grave() == []


def test_captions_have_equal_digits(opened):
    # Parameters would look the same in three figures, multiply-accumulates in any that people read.
    assert opened.page.locator(".caption").all_inner_texts() == [
        "before: resnet18 11.78 M parameters · 1.81 G MACs",
        "after: resnet18 11.77 M parameters · 1.81 G MACs",
    ]
    rows = opened.page.locator("#panel table.numbers tr").all_inner_texts()
    assert any("11.78 M\t11.77 M" in row for row in rows)


def test_blocks_open_and_close_together(opened):
    page = opened.page
    box(page, "layer2").locator("> .toggle").click()
    assert expanded(page, "layer2") == ["false", "false"]
    before(page, "layer2").locator("> .toggle").click()
    assert expanded(page, "layer2") == ["true", "true"]


def test_selecting_selects_in_both(opened):
    page = opened.page
    before(page, "conv1").click()
    assert page.evaluate("[composer.store.state.network, composer.store.state.selected]") == ["base", "conv1"]
    for one in (before(page, "conv1"), box(page, "conv1")):
        assert "selected" in one.get_attribute("class")
        assert one.get_attribute("aria-selected") == "true"
    box(page, "maxpool").click()
    assert page.evaluate("[composer.store.state.network, composer.store.state.selected]") == ["composed", "maxpool"]
    assert "selected" in before(page, "maxpool").get_attribute("class")


@pytest.mark.parametrize("pane", [0, 1])
@pytest.mark.parametrize("path", ["conv1", "layer1.0.act2", "layer2.0.conv2", "fc"])
def test_what_is_selected_is_level(opened, pane, path):
    page = opened.page
    choose(page, pane, path)
    assert middle(box(page, path)) == pytest.approx(middle(before(page, path)), abs=1)


@pytest.mark.parametrize("pane", ["#before", "#canvas"])
def test_they_move_and_zoom_together(opened, pane):
    page = opened.page
    choose(page, 0, "layer1.0.conv2")
    area = page.locator(pane).bounding_box()
    page.mouse.move(area["x"] + area["width"] / 2, area["y"] + area["height"] / 2)
    page.mouse.wheel(0, -400)
    page.mouse.down()
    page.mouse.move(area["x"] + area["width"] / 2 + 30, area["y"] + area["height"] / 2 + 40, steps=5)
    page.mouse.up()
    one, other = page.evaluate(LOOKS)
    assert one["scale"] == pytest.approx(other["scale"])
    assert one["scale"] > 1
    path = "layer1.0.conv2"
    assert middle(box(page, path)) == pytest.approx(middle(before(page, path)), abs=1)


def test_without_a_selection_the_middle_is_level(opened):
    page = opened.page
    page.evaluate("composer.store.select(null)")
    for step in range(12):
        page.evaluate("composer.scene.viewport.pan(0, -97)")
        height = page.locator("#canvas").bounding_box()
        centre = height["y"] + height["height"] / 2
        near = page.evaluate(
            """centre => {
                const shown = [...document.querySelectorAll("#drawing g[data-path]:not(.ghost) > rect.box")]
                    .map(one => [one.parentNode.dataset.path, one.getBoundingClientRect()])
                    .filter(([, { top, bottom }]) => top <= centre && bottom >= centre);
                return shown.length ? shown.at(-1)[0] : null;
            }""",
            centre,
        )
        if near is None or ":" in near:
            continue
        mine, its = box(page, near).bounding_box(), before(page, near).bounding_box()
        share = (centre - mine["y"]) / mine["height"]
        # How far down the middle is in what is in the middle of both.
        assert (centre - its["y"]) / its["height"] == pytest.approx(share, abs=0.1), (step, near)


def test_keys_work_in_both(opened):
    page = opened.page
    page.locator("#drawing-before").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    assert page.evaluate("[composer.store.state.network, composer.store.state.selected]") == ["base", "bn1"]
    page.keyboard.press("b")
    assert page.evaluate("document.activeElement.id") == "drawing"
    page.keyboard.press("ArrowDown")
    assert page.evaluate("[composer.store.state.network, composer.store.state.selected]") == ["composed", "act1"]
    page.keyboard.press("b")
    assert page.evaluate("document.activeElement.id") == "drawing-before"
    assert before(page, "act1").get_attribute("id") == page.locator("#drawing-before").get_attribute(
        "aria-activedescendant"
    )


def test_the_details_say_before_and_after(opened):
    page = opened.page
    page.evaluate("composer.store.select('layer1.0.se')")
    text = page.locator("#panel section", has_text="Before and after").inner_text()
    assert "removed" in text
    page.evaluate("composer.store.select('conv1')")
    assert "9.41 k\t9.41 k\t=" in page.locator("#panel section", has_text="Before and after").inner_text()


def test_below_1200_pixels_there_is_one(opened):
    page = opened.page
    page.set_viewport_size({"width": 1199, "height": 900})
    page.locator("#before").wait_for(state="hidden")
    assert page.locator("#toolbar fieldset").is_visible()
    page.locator("#toolbar input[value=base]").check(force=True)
    page.evaluate("composer.store.select('layer1.0.bn1', { reveal: true })")
    assert box(page, "layer1.0.bn1").get_attribute("class") == "k-normalisation selected"
    page.locator("#toolbar input[value=composed]").check(force=True)
    assert box(page, "layer1.0.bn1").get_attribute("class") == "ghost selected"
    page.set_viewport_size(WIDE)
    page.locator("#before").wait_for(state="visible")
    assert page.locator("#drawing-before [data-path]").count() > 10


def test_a_link_shows_the_same_again(opened, open_page, file):
    page = opened.page
    choose(page, 1, "layer2.0.bn1")
    page.keyboard.press("+")
    pause(page, 500)
    fragment = page.evaluate("location.hash")[1:]
    again = open_page(file, fragment, viewport=WIDE, reduced_motion="reduce").page
    # As the panel has opened by then.
    pause(again, 200)
    for path in ("layer2.0.bn1", "layer2.0.conv1"):
        for find in (box, before):
            assert find(again, path).bounding_box() == pytest.approx(find(page, path).bounding_box(), abs=3)
    assert "selected" in before(again, "layer2.0.bn1").get_attribute("class")


def test_added_copies_stand_beside_their_equals(open_page, tmp_path):
    file = tmp_path / "deeper.html"
    file.write_text(render_difference(diff("resnet18", "resnet34")), encoding="utf-8")
    opened = open_page(file, viewport=WIDE, reduced_motion="reduce")
    page = opened.page
    page.locator("#drawing").focus()
    page.keyboard.press("Shift+Enter")
    fill = "one => getComputedStyle(one.querySelector('rect.box')).fill"
    added, plain = (box(page, f"layer1.{at}.conv1").evaluate(fill) for at in (2, 0))
    assert added != plain
    assert before(page, "layer1.0.conv1").evaluate(fill) == plain
    # Nothing before is its counterpart.
    page.evaluate("composer.panes[0].store.select('layer1.2.conv1')")
    assert page.locator("#drawing-before .selected").count() == 0
    page.evaluate("composer.panes[0].store.select('layer1.0.conv1')")
    assert page.locator("#drawing-before .selected").count() == 1
    opened.assert_quiet()
