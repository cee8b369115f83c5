"""Search: what is closed or folded is found too."""

from __future__ import annotations

import pytest
from browser.conftest import pause

SE = "papers/se/resnet50"


@pytest.fixture
def se(open_page, page_of):
    opened = open_page(page_of(SE))
    yield opened.page
    opened.assert_quiet()


def search(page, words):
    page.keyboard.press("/")
    page.keyboard.type(words)


def options(page):
    return page.locator("#results [role=option] .path").all_text_contents()


def test_a_copy_inside_a_folded_box(se):
    search(se, "layer3.4.se")
    assert options(se) == ["layer3.4.se"]
    assert se.locator(".search .count").text_content() == "1 node"
    se.keyboard.press("Enter")
    pause(se, 350)
    assert se.evaluate("composer.store.state.selected") == "layer3.4.se"
    # The box that stands for it, in the block that stands for its block.
    assert se.locator('#drawing [aria-selected="true"]').get_attribute("data-path") == "layer3.1.se"
    place = se.locator('#drawing [aria-selected="true"]').bounding_box()
    assert 0 < place["y"] < 800


@pytest.mark.parametrize(
    ("words", "count"),
    [
        ("se", None),
        ("conv2d 3×3", 16),
        ("layer4 relu", 9),
        ("RELU layer4", 9),
        ("no such thing", 0),
        ("<b>", 0),
        ("\\d", 0),
    ],
)
def test_words_find_what_has_all_of_them(se, words, count):
    search(se, words)
    found = se.evaluate("composer.store.state.found.boxes.size")
    text = se.locator(".search .count").text_content()
    if count is None:
        assert found > 0
        assert options(se)[0].endswith("se")
    else:
        assert text.split()[0] == str(count)
    assert se.locator("#results").is_visible() == (text != "0 nodes")


def test_a_line_of_the_spec(se):
    search(se, "se/resnet50.yaml:8")
    assert se.locator(".search .count").text_content() == "16 nodes"


def test_arrows_choose_from_the_list(se):
    search(se, "layer1 relu")
    names = options(se)
    se.keyboard.press("ArrowDown")
    se.keyboard.press("ArrowDown")
    se.keyboard.press("ArrowUp")
    active = se.locator("#query").get_attribute("aria-activedescendant")
    assert se.locator(f"#{active} .path").text_content() == names[1]
    assert se.locator('#results [aria-selected="true"]').count() == 1
    se.keyboard.press("Enter")
    assert se.evaluate("composer.store.state.selected") == names[1]
    # The next Enter takes the same one again, and the field keeps the focus.
    assert se.evaluate("document.activeElement.id") == "query"


def test_what_is_found_is_marked_closed_or_not(se):
    search(se, "layer2.0.se")
    assert se.locator('[data-path="layer2.0"].hit-inside').count() == 1
    assert se.locator(".hit").count() == 0
    se.locator("#results [role=option]").click()
    assert se.locator('[data-path="layer2.0.se"].hit').count() == 1
    assert se.locator(".hit-inside").count() == 0
    se.locator("#query").fill("")
    assert se.locator(".hit").count() == 0


def test_the_list_goes_when_the_focus_does(se):
    search(se, "relu")
    assert se.locator("#results").is_visible()
    se.keyboard.press("Tab")
    assert not se.locator("#results").is_visible()


def test_the_base_network_has_no_attention_to_find(se):
    search(se, "layer1.0.se")
    assert options(se) == ["layer1.0.se"]
    se.get_by_role("radio", name="without attention").check(force=True)
    assert se.locator(".search .count").text_content() == "0 nodes"


@pytest.mark.parametrize(
    ("words", "count"), [('"branch" in sites', 16), ('"conv" in op', 53), ('not ("se" in path) and kind == "conv"', 53)]
)
def test_a_string_that_is_looked_for_makes_a_condition(se, words, count):
    search(se, words)
    assert se.locator(".search .count").text_content() == f"{count} nodes"


def test_words_that_no_node_has_are_told_with_those_there_are(se):
    search(se, 'kind == "convolution"')
    wrong = se.locator("#results .wrong").inner_text()
    assert 'no node has the kind "convolution"; there is' in wrong
    assert ", conv, " in wrong


def test_paths_are_whole(se):
    search(se, "channels >= 256")
    cut = "[...document.querySelectorAll('#results .path')].filter(one => one.scrollWidth > one.clientWidth).length"
    assert se.evaluate(cut) == 0
    assert len(options(se)) > 20


def test_a_list_that_was_left_stays_away(se):
    search(se, "bn")
    se.keyboard.press("Enter")
    assert not se.locator("#results").is_visible()
    se.locator("#drawing").focus()
    se.keyboard.press("b")
    assert not se.locator("#results").is_visible()
    assert se.evaluate("document.activeElement.id") == "drawing"
