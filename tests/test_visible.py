"""Nothing that is read by people can move the cursor, hide, or turn the direction of what follows."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from composer.visible import visible, visible_lines


@pytest.mark.parametrize("text", ["\x1b[31m", "a\nb", "\u202e", "\x00", "\u200b", "\udcff"])
def test_what_cannot_be_printed_is_replaced(text):
    assert visible(text).isprintable()
    assert len(visible(text)) == len(text)


@given(st.text())
def test_what_is_visible_can_be_written_as_xml(text):
    shown = visible(text)
    assert shown.isprintable()
    shown.encode("utf-8")


def test_lines_keep_their_ends_and_their_columns():
    assert visible_lines("a\n\tb\x07\r\n") == "a\n        b\ufffd\ufffd\n"
