"""Boxes coloured by how much they have: the ramp says something, its words are legible, and boxes print the number."""

from __future__ import annotations

import colorsys
from itertools import pairwise

import pytest

# Fill and ink of every coloured box, and of the swatches of the ramp, as red, green and blue.
COLOURS = """mode => {
    const { store, scene } = composer;
    store.set({ colour: mode, open: new Set(["layer2", "layer2.0"]) });
    const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
    const read = colour => {
        canvas.fillStyle = colour;
        canvas.fillRect(0, 0, 1, 1);
        return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
    };
    const fillOf = element => read(getComputedStyle(element).fill);
    const boxes = {};
    for (const group of document.querySelectorAll("#drawing g[data-path]:not(.frame)")) {
        const own = [...group.children];
        const box = own.find(one => one.matches("rect.box"));
        if (box.style.fill === "") continue;
        const words = own.filter(one => one.matches("text:not(.badge)"));
        boxes[group.dataset.path] = {
            fill: fillOf(box), inks: words.map(fillOf), words: words.map(one => one.textContent) };
    }
    const swatches = [...document.querySelectorAll("#legend .ramp i")].map(
        one => read(getComputedStyle(one).backgroundColor));
    return { boxes, swatches, legend: document.getElementById("legend").innerText };
}"""


def luminance(colour):
    linear = [one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in (c / 255 for c in colour)]
    return sum(part * one for part, one in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def lightness(colour):
    """L* of CIELAB, 0 to 100."""
    y = luminance(colour)
    return 116 * y ** (1 / 3) - 16 if y > 0.008856 else 903.3 * y


def contrast(one, other):
    low, high = sorted(map(luminance, (one, other)))
    return (high + 0.05) / (low + 0.05)


@pytest.fixture(params=["light", "dark"])
def page(request, open_page, page_of):
    opened = open_page(page_of("papers/se/resnet50"), color_scheme=request.param, reduced_motion="reduce")
    yield opened.page
    opened.assert_quiet()


@pytest.mark.parametrize("mode", ["parameters", "macs"])
def test_the_ramp_grows_in_lightness_and_is_not_the_colour_of_what_is_inserted(page, mode):
    swatches = page.evaluate(COLOURS, mode)["swatches"]
    found = [lightness(one) for one in swatches]
    steps = [abs(after - before) for before, after in pairwise(found)]
    assert found in (sorted(found), sorted(found, reverse=True))
    # The ramp before spanned 10 of 100; what can be told apart at a glance is some 2 apart.
    assert abs(found[-1] - found[0]) > 60
    assert min(steps) > 1.5
    assert max(steps) < 2.5 * min(steps)
    for colour in swatches:
        hue, _, saturation = colorsys.rgb_to_hls(*(one / 255 for one in colour))
        assert saturation < 0.15 or 170 < 360 * hue < 280


@pytest.mark.parametrize("mode", ["parameters", "macs"])
def test_words_are_legible_on_every_box(page, mode):
    boxes = page.evaluate(COLOURS, mode)["boxes"]
    assert len(boxes) > 15
    for path, box in boxes.items():
        assert all(contrast(box["fill"], ink) >= 4.5 for ink in box["inks"]), path
    assert len({tuple(box["fill"]) for box in boxes.values()}) > 8


def test_boxes_print_what_colours_them(page):
    boxes = page.evaluate(COLOURS, "parameters")["boxes"]
    assert "9.41 k" in boxes["conv1"]["words"]
    assert any(words.endswith(" k parameters") for words in boxes["layer1"]["words"])
    found = page.evaluate(COLOURS, "macs")
    # 7 x 7 x 3 multiply-accumulates for each of 64 x 112 x 112 outputs.
    assert "118 M" in found["boxes"]["conv1"]["words"]
    assert any(words.endswith(" MACs") for words in found["boxes"]["layer1"]["words"])
    assert "0" in found["boxes"]["act1"]["words"]
    assert "Multiply-accumulates, logarithmic" in found["legend"]
    page.evaluate("composer.store.set({ colour: 'kind' })")
    words = page.locator('#drawing [data-path="conv1"] > text').all_text_contents()
    assert words == ["conv1", "7×7 conv2d, 64, /2"]


def test_what_is_not_known_is_said(page):
    """An operation that nobody counts has no number, and neither have those around it."""
    page.evaluate("() => { composer.store.facts('conv1').macs = null; composer.store.facts('layer1').macs = null; }")
    found = page.evaluate(COLOURS, "macs")
    assert "conv1" not in found["boxes"]
    assert "unknown" in page.locator('#drawing [data-path="conv1"] > text').all_text_contents()
    assert "unknown" in page.locator('#drawing [data-path="layer1"] > text').all_text_contents()
    assert "unknown: in the colour of its kind" in found["legend"]
