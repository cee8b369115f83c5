"""What Chromium tells those who do not see the page, key by key."""

from __future__ import annotations

import pytest

SE = "papers/se/resnet50"


class Heard:
    """The accessibility tree, as a screen reader is given it."""

    def __init__(self, page):
        self._session = page.context.new_cdp_session(page)
        self._session.send("Accessibility.enable")

    def nodes(self, role, **wanted):
        """The names of the nodes of a role that have these properties."""
        found = []
        for node in self._session.send("Accessibility.getFullAXTree")["nodes"]:
            own = {one["name"]: one["value"].get("value") for one in node.get("properties", ())}
            if node.get("role", {}).get("value") == role and all(
                own.get(key) == value for key, value in wanted.items()
            ):
                found.append(node.get("name", {}).get("value", ""))
        return found


def chosen(start, **wanted):
    """The item of the tree that is selected."""

    def told(heard):
        (name,) = heard.nodes("treeitem", selected=True, **wanted)
        assert name.startswith(start)

    return told


def there(role, name, **wanted):
    return lambda heard: heard.nodes(role, **wanted).index(name)


KEYS = [
    ("ArrowDown", chosen("conv1, 7×7 conv2d")),
    ("End", chosen("fc, linear")),
    ("ArrowUp", chosen("global_pool")),
    ("ArrowUp", chosen("layer4, 3 × bottleneck", expanded=True, level=1)),
    ("Enter", chosen("layer4, 3 × bottleneck", expanded=False)),
    ("ArrowRight", chosen("layer4, 3 × bottleneck", expanded=True)),
    ("ArrowRight", chosen("0, bottleneck", expanded=False, level=2)),
    ("y", there("complementary", "Spec")),
    ("i", there("button", "Only inserted", pressed="true")),
    ("?", there("dialog", "Keys", modal=True)),
]


def test_ten_keys_are_heard(open_page, page_of):
    opened = open_page(page_of(SE), reduced_motion="reduce")
    page = opened.page
    page.locator("#drawing").focus()
    heard = Heard(page)
    assert heard.nodes("treeitem", selected=True) == []
    assert heard.nodes("tree", focused=True) == ["Boxes of se_resnet50"]
    assert len(KEYS) == 10
    for key, told in KEYS:
        page.keyboard.press(key)
        page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
        told(heard)
    page.keyboard.press("Escape")
    with pytest.raises(ValueError, match="is not in list"):
        there("dialog", "Keys")(heard)
    opened.assert_quiet()


def test_what_happened_is_said(open_page, page_of):
    opened = open_page(page_of(SE), reduced_motion="reduce")
    page = opened.page
    page.locator("#drawing").focus()
    for key in ("End", "ArrowUp", "ArrowUp", "Enter"):
        page.keyboard.press(key)
    assert page.get_by_role("status").filter(has_text="layer4 closed").count() == 1
    opened.assert_quiet()
