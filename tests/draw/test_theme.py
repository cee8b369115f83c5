"""Words can be read on whatever they stand on, in every theme (WCAG 2.1, 1.4.3: 4.5 to 1)."""

from __future__ import annotations

import pytest

from composer.draw.theme import DARK, GROUPS, LIGHT, PAPER, colours


def luminance(colour: str) -> float:
    parts = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_contrast_is_what_the_standard_says():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("theme", [LIGHT, DARK, PAPER], ids=["light", "dark", "paper"])
def test_words_stand_out(theme):
    fills = {theme.paper, *(fill for fill, _ in colours(theme).values())}
    for fill in fills:
        assert contrast(theme.ink, fill) >= 4.5, fill
        assert contrast(theme.faint, fill) >= 4.5, fill
    assert contrast(theme.on_badge, theme.inserted[1]) >= 4.5
    assert contrast(theme.failed[1], theme.failed[0]) >= 4.5


@pytest.mark.parametrize("theme", [LIGHT, DARK, PAPER], ids=["light", "dark", "paper"])
def test_lines_stand_out(theme):
    for line in (theme.wire, theme.inserted[1], theme.failed[1]):
        assert contrast(line, theme.paper) >= 3


def test_every_theme_has_every_group():
    assert set(GROUPS) == set(LIGHT.groups) == set(DARK.groups) == set(PAPER.groups)
