"""A mechanism opens down to its steps: closed until somebody asks, and explained as nodes are."""

from __future__ import annotations

SHOWN = "() => [...document.querySelectorAll('#drawing > .world > .inside [data-path]')].map(one => one.dataset.path)"
CBAM = "papers/cbam/resnet50"
STEPS = "[...composer.store.network().entries.keys()].filter(one => one.startsWith('layer1.0.cbam.'))"


def opened(open_page, page_of):
    found = open_page(page_of(CBAM), viewport={"width": 1440, "height": 900})
    found.page.evaluate("composer.store.select('layer1.0.cbam', { reveal: true })")
    return found


def test_it_opens_by_its_button_down_to_the_last_step(open_page, page_of):
    found = opened(open_page, page_of)
    page = found.page
    assert not any(path.startswith("layer1.0.cbam.") for path in page.evaluate(SHOWN))
    page.locator('#drawing [data-path="layer1.0.cbam"] .toggle').click()
    shown = page.evaluate(SHOWN)
    assert [path for path in shown if path.startswith("layer1.0.cbam.")] == page.evaluate(STEPS)
    channel = [path.rpartition(".")[2] for path in shown if path.startswith("layer1.0.cbam.channel.")]
    assert channel == ["mean", "amax", "concat", "fc1", "act", "fc2", "unflatten", "sum", "sigmoid", "mul"]
    found.assert_quiet()
    assert found.grave() == []


def test_the_steps_of_each_place_have_its_sizes(open_page, page_of):
    page = opened(open_page, page_of).page
    for path, shape in (("layer1.2", "2N×256×1×1"), ("layer4.2", "2N×2048×1×1")):
        page.evaluate(f"composer.store.select('{path}.cbam.channel.fc1', {{ reveal: true }})")
        panel = page.locator("#panel").inner_text()
        assert shape in panel
        assert f"{path}.cbam.channel.fc1.weight" in panel


def test_it_stays_closed_when_everything_is_opened(open_page, page_of):
    """A network's blocks are opened to be seen, not each step of each of 16 mechanisms."""
    page = opened(open_page, page_of).page
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Open everything").click()
    shown = page.evaluate(SHOWN)
    assert "layer4.0.cbam" in shown
    assert not any(".cbam." in path for path in shown)


def test_the_keyboard_opens_and_closes_it(open_page, page_of):
    page = opened(open_page, page_of).page
    page.locator("#drawing").focus()
    page.keyboard.press("Enter")
    assert "layer1.0.cbam.spatial.conv" in page.evaluate(SHOWN)
    page.keyboard.press("Enter")
    assert not any(path.startswith("layer1.0.cbam.") for path in page.evaluate(SHOWN))


def test_its_steps_are_no_nodes_of_the_network(open_page, page_of):
    page = opened(open_page, page_of).page
    page.locator("#query").fill("unflatten")
    assert page.locator(".search .count").inner_text() == "0 nodes"
