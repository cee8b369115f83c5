"""Text measured, cut and wrapped without a font."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from composer.draw.text import fit, width, wrap


def test_widths_are_those_of_the_font():
    # Helvetica: c 500, o and n 556, v 500, 1 556; bold: c 556, o, n 611, v 556, 1 556.
    assert width("conv1", 1000) == 2668
    assert width("conv1", 1000, bold=True) == 2890
    assert width("", 12) == 0
    assert width("漢字", 10) == 20


@given(st.text(), st.integers(10, 300))
def test_what_is_cut_fits_and_keeps_both_ends(text, limit):
    shown = fit(text, 12, limit)
    if width(text, 12) <= limit:
        assert shown == text
    else:
        before, _, after = shown.partition("…")
        assert text.startswith(before)
        assert text.endswith(after)
        assert shown == "…" or width(shown, 12) <= limit


@pytest.mark.parametrize("lines", [1, 2, 3])
def test_wrapped_lines_fit(lines):
    found = wrap("the quick brown fox jumps over the lazy dog " * 3, 10, 120, lines)
    assert len(found) == lines
    assert all(width(line, 10) <= 120 for line in found)
    assert "…" in found[-1]
    assert wrap("a b", 10, 120, lines) == ["a b"]
    assert wrap("", 10, 120, lines) == []
