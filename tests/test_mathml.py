"""Equations of docstrings as MathML: every one of every mechanism, and what they must look like."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from composer.docstring import sections
from composer.index.card import cards
from composer.mathml import lines, mathml

EQUATIONS = {card.name: found for card in cards("mechanism") if (found := sections(card.doc).get("Math"))}
SIGNS = str.maketrans({"⊙": "*", "−": "-", "⊤": "ᵀ", "\u2003": " ", "\u2009": " ", "′": "'"})


def text_of(text):
    """What a reader sees, in one string."""
    return "".join(ElementTree.fromstring(f"<div>{mathml(text)}</div>").itertext())


def formulas(text):
    """Each formula with its layout: fractions as (a)/(b), roots as √(a), below as _(a), above as ^(a)."""
    return [_written(one) for one in ElementTree.fromstring(f"<div>{mathml(text)}</div>").iter("math")]


def _written(tree):
    parts = [_written(one) for one in tree]
    forms = {
        "mfrac": "({})/({})",
        "msub": "{}_({})",
        "msup": "{}^({})",
        "msubsup": "{}_({})^({})",
    }
    if tree.tag in forms:
        return forms[tree.tag].format(*parts)
    joined = (tree.text or "") + "".join(parts)
    return f"√({joined})" if tree.tag == "msqrt" else joined


@pytest.mark.parametrize("name", EQUATIONS)
def test_every_equation_keeps_all_that_it_says(name):
    text = EQUATIONS[name]
    seen = text_of(text).translate(SIGNS)
    words = re.findall(r"`([^`]+)`|\b([a-z]{4,})\b", text)
    for code, word in words:
        if word not in ("sqrt", "alpha", "beta", "gamma", "theta", "lambda", "sigma"):
            assert (code or word) in seen, code or word
    assert any(tree[0] == "math" for line in lines(text) for tree in line[1:] if isinstance(tree, list))


@pytest.mark.parametrize("name", EQUATIONS)
def test_what_is_cut_off_anywhere_is_still_a_tree(name):
    text = EQUATIONS[name]
    for end in range(0, len(text), 3):
        ElementTree.fromstring(f"<div>{mathml(text[:end])}</div>")
        ElementTree.fromstring(f"<div>{mathml(text[end:])}</div>")


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("y = x * sigmoid(W2 relu(W1 mean_hw(x)))", "y=x⊙sigmoid(W_(2)\u2009relu(W_(1)\u2009mean_(hw)(x)))"),
        ("A_i = softmax_keys(Q_i K_iᵀ / sqrt(p))", "A_(i)=softmax_(keys)((Q_(i)\u2009K_(i)^(⊤))/(√(p)))"),
        ("y = exp(-n² / (2 sigma²))", "y=exp(−(n^(2))/(2\u2009σ^(2)))"),
        ("v_c = |w_c| / sum_c(|w_c|)", "v_(c)=(|w_(c)|)/(sum_(c)(|w_(c)|))"),
        ("p = c / 2H", "p=(c)/(2H)"),
        ("y_ij = H_ab(x_ij) * v_i+a,j+b", "y_(ij)=H_(ab)(x_(ij))⊙v_(i+a,j+b)"),
        ("G = softmax_hw(B x)ᵀ", "G=softmax_(hw)(B\u2009x)^(⊤)"),
        ("q = conv3x3(f(x'))", "q=conv_(3×3)(f(x^(′)))"),
        ("W1: c -> d", "W_(1):c→d"),
    ],
)
def test_a_formula_is_set_as_in_a_paper(text, seen):
    assert formulas(text) == [seen]


def test_words_stay_words():
    text = (
        "a kernel of length k over the c pooled values, from a 7 × 7 table;  at mode dot_product: n / a of the head's"
    )
    seen = ["k", "c", "7×7", "(n)/(a)"]
    assert formulas(text) == seen
    assert text_of(text).startswith(
        "a kernel of length k over the c pooled values, from a 7×7 table;\u2003at mode dot_product"
    )


def test_a_hyphen_is_no_minus():
    assert text_of("begin at every k-th row, as in GE-θ") == "begin at every k-th row, as in GE-θ"
    assert text_of("h - t") == "h−t"


def test_markup_in_an_equation_is_no_markup():
    assert "<b>" not in mathml("y = <b>x</b> & `<i>`")
