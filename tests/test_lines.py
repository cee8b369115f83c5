"""Lines of text: columns line up whatever the letters' width, and nothing can move the cursor."""

from __future__ import annotations

from composer.amounts import share, thousands
from composer.lines import Part, plain, table, width


def test_a_table_lines_up():
    rows = [[(Part("a"),), (Part("1"),)], [(Part("漢字", "red"),), (Part("1,000"),)]]
    assert plain(table(["name", "n"], rows, [False, True])) == "name      n\na         1\n漢字  1,000"
    assert {width(line) for line in table(["name", "n"], rows, [False, True])} == {11}


def test_a_table_without_heads():
    assert plain(table(["", ""], [[(Part("a"),), (Part("b"),)]], [False, False])) == "a  b"


def test_numbers():
    assert (thousands(1234567), thousands(12, signed=True)) == ("1,234,567", "+12")
    assert (share(1, 8), share(-1, 4), share(1, 0)) == ("+12.50 %", "-25.00 %", "–")
