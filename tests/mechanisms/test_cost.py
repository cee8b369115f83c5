"""The costs that each docstring states are what the meta device counts."""

from __future__ import annotations

import re

import pytest

import composer
from composer import registry

C, HEIGHT, WIDTH, TOKENS = 64, 14, 21, 13
PLACE = {"c": C, "o": C, "h": HEIGHT, "w": WIDTH, "k": 3, "g": 1, "s": 1}
# What the letters of a docstring stand for at its defaults, besides those of the place.
LETTERS = {
    "eca": {"k": 3},
    "se": {"d": C // 16},
    "cbam_channel": {"d": C // 16},
    "cbam_spatial": {"k": 7},
    "cbam": {"d": C // 16, "k": 7},
    "bam": {"d": C // 16},
    "bam_channel": {"d": C // 16},
    "bam_spatial": {"d": C // 16},
    "ge_plus": {"d": C // 16},
    "sk": {"m": 2, "d": 32},
    "splat": {"R": 2, "K": 1, "d": 32},
    "condconv": {"n": 8},
    "dynconv": {"n": 4, "d": C // 4},
    "mhsa": {"n": TOKENS, "H": 8, "p": C // 8},
    "sa": {"n": TOKENS, "p": 64},
    "nl": {"d": C // 2},
    "bot": {"p": C // 4},
    "sasa": {"k": 7},
}
MECHANISMS = [entry for entry in registry.entries("mechanism") if entry.plugin.name == "composer"]


def value(formula: str, letters: dict[str, int]) -> float:
    """What `2cd + 18d²` comes to: one letter a number, side by side a product, ² and ³ powers."""
    tokens = re.findall(r"\d+|[A-Za-z]|[²³]|[-+/()]", formula)
    assert "".join(tokens) == re.sub(r"\s", "", formula), f"cannot read {formula!r}"
    python, factor = "", False
    for token in tokens:
        starts = (token.isalnum() and token not in "²³") or token == "("
        python += " * " if factor and starts else ""
        python += {"²": "**2", "³": "**3"}.get(token, f"letters[{token!r}]" if token.isalpha() else token)
        factor = token not in "+-/("
    return eval(python, {"letters": letters})


def stated(entry: registry.Entry, row: str) -> float:
    text = re.search(rf"^{row}:\s+(.*)$", entry.doc, re.MULTILINE)
    assert text, f"`{entry.name}` has no {row}"
    letters = {**PLACE, **LETTERS.get(entry.name, {})}
    return value(text[1].partition(";")[0].strip(), letters)


@pytest.mark.parametrize(
    ("formula", "expected"),
    [("2cd + c", 2 * 64 * 3 + 64), ("c (d² + 2) / d", 64 * 11 / 3), ("3c d 4", 64 * 36), ("7", 7), ("d³ - 1", 26)],
)
def test_formulas_are_read_as_people_read_them(formula, expected):
    assert value(formula, {"c": 64, "d": 3}) == expected


@pytest.mark.parametrize("formula", ["2 ** c", "max(c, d)", "c ÷ d"])
def test_other_formulas_are_not(formula):
    with pytest.raises((AssertionError, KeyError)):
        value(formula, {"c": 64, "d": 3})


@pytest.mark.parametrize("entry", MECHANISMS, ids=lambda entry: entry.name)
def test_cost_is_what_the_docstring_states(entry):
    tokens = entry.layout == "b n c"
    settings = {"out_channels": C, "kernel_size": 3} if entry.replaces else {}
    node = {"op": entry.name, **{name: at for name, at in settings.items() if name in entry.settings.model_fields}}
    shape = {"shape": [TOKENS, C], "layout": "b n c"} if tokens else [C, HEIGHT, WIDTH]
    graph = composer.graph({"input": shape, "nodes": {"tested": node}})
    assert (graph.num_parameters, graph.num_macs) == (stated(entry, "Params"), stated(entry, "MACs"))
