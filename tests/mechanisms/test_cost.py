"""The costs that each docstring states are what the meta device counts, at several sizes and with several options."""

from __future__ import annotations

import itertools
import math
import re

import pytest

import composer
from composer import registry
from tests.mechanisms.cases import ENTRIES, case_of

# channels, height, width; tokens are height * width.
SIZES = [(64, 14, 21), (32, 9, 7)]
# How a convolution is replaced: out_channels, kernel_size, stride, groups.
CONVS = [(64, 3, 1, 1), (32, 3, 2, 4), (96, 5, 1, 2), (64, (1, 1), (2, 1), 16)]
LETTERS = r"[A-Za-z]'?"


def letters(name, c, h, w, conv, options):
    """What the letters of a mechanism's formulas stand for, worked out from its place and its options alone."""
    o, kernel, stride, g = conv
    k = kernel if isinstance(kernel, int) else kernel[0]
    down, across = (stride, stride) if isinstance(stride, int) else stride
    found = {"c": c, "o": o, "h": h, "w": w, "k": k, "g": g, "h'": math.ceil(h / down), "w'": math.ceil(w / across)}
    return {**found, "n": h * w, **case_of(name).letters(c, h, w, conv, options)}


def value(formula, letters):
    """What `2cd + 18d²` comes to: one letter a number, side by side a product, ² and ³ powers."""
    tokens = re.findall(rf"\d+|{LETTERS}|[²³]|[-+/()]", formula)
    assert "".join(tokens) == re.sub(r"\s", "", formula), f"cannot read {formula!r}"
    python, factor = "", False
    for token in tokens:
        starts = token[0].isalnum() and token not in "²³"
        python += " * " if factor and (starts or token == "(") else ""
        python += {"²": "**2", "³": "**3"}.get(token, f"letters[{token!r}]" if token[0].isalpha() else token)
        factor = token not in "+-/("
    return eval(python, {"letters": letters})


def stated(doc, row, case, letters):
    """The law of a row of the docstring: `usual;  other with this;  so much more with that`."""
    text = re.search(rf"^{row}:\s+(.*)$", doc, re.MULTILINE)[1].partition("        ")[0]
    usual, *others = (law.strip() for law in text.split(";  "))
    result = value(usual, letters)
    for law in others:
        match = re.fullmatch(r"(.*?)( more| less)? ((?:with|without|at) .*?)(,  .*)?", law)
        if match and match[3] in case:
            amount = value(match[1], letters)
            result = {" more": result + amount, " less": result - amount, None: amount}[match[2]]
    return result


def places():
    """With options, one of CONVS in turn is quick, the others are slow."""
    for entry in ENTRIES:
        convs = CONVS if entry.replaces else CONVS[:1]
        for turn, (options, words) in enumerate([({}, []), *case_of(entry.name).costs]):
            for number, (size, conv) in enumerate(itertools.product(SIZES, convs)):
                place = f"{size} {conv}" if entry.replaces else f"{size}"
                slow = options and entry.replaces and number % len(CONVS) != turn % len(CONVS)
                marks = [pytest.mark.slow] if slow else []
                name = f"{entry.name} {options} at {place}"
                yield pytest.param(entry, options, words, size, conv, id=name, marks=marks)


@pytest.mark.parametrize(("entry", "options", "words", "size", "conv"), list(places()))
def test_cost_is_what_the_docstring_states(entry, options, words, size, conv):
    c, h, w = (max(number, case_of(entry.name).least) for number in size)
    names = ("out_channels", "kernel_size", "stride", "groups")
    settings = {key: at for key, at in zip(names, conv, strict=True) if key in entry.settings.model_fields}
    shape = {"shape": [h * w, c], "layout": "b n c"} if entry.works_on == "b n c" else [c, h, w]
    if case_of(entry.name).class_token:
        shape["grid"] = [h * w - 1, 1]
    settings = {key: list(at) if isinstance(at, tuple) else at for key, at in settings.items()}
    # Further tensors have the shape of the first.
    node = {"op": entry.name, **settings, **options, "from": ["input"] * entry.inputs[0]}
    graph = composer.graph({"input": shape, "nodes": {"tested": node}})
    meanings = letters(entry.name, c, h, w, conv, options)
    found = (graph.num_parameters, graph.num_macs)
    assert found == tuple(stated(entry.doc, row, words, meanings) for row in ("Params", "MACs"))


def test_a_given_router_costs_nothing():
    given = {"op": "condconv", "out_channels": 8, "router": "given", "num_experts": 3, "from": ["input", "router"]}
    nodes = {"router": {"op": "condconv_router", "num_experts": 3}, "conv": given}
    flat = composer.graph({"input": [4, 6, 6], "nodes": nodes}).networkx().nodes["conv"]
    meanings = letters("condconv", 4, 6, 6, (8, 3, 1, 1), {"num_experts": 3})
    doc, case = registry.get("condconv").doc, ["with a given router"]
    assert flat["parameters"] == stated(doc, "Params", case, meanings)
    assert flat["macs"] == stated(doc, "MACs", case, meanings)


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_every_case_of_a_docstring_is_tested(entry):
    used = {words for _, several in case_of(entry.name).costs for words in several}
    used |= {"with a given router"} if entry.name == "condconv" else set()
    rows = [
        re.search(rf"^{row}:\s+(.*)$", entry.doc, re.MULTILINE)[1].partition("        ")[0]
        for row in ("Params", "MACs")
    ]
    words = re.findall(r";  [^;]*? ((?:with|without|at) [^;]*?)(?=;|,  |$)", ";  ".join(["", *rows]))
    missing = set(words) - used
    assert not missing, f"tests/mechanisms/cases/{entry.name}.py: `costs` has no options for {sorted(missing)}"


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        ("2cd + c", 2 * 64 * 3 + 64),
        ("c (d² + 2) / d", 64 * 11 / 3),
        ("3c d 4", 64 * 36),
        ("7", 7),
        ("d³ - 1", 26),
        ("c d'", 320),
    ],
)
def test_formulas_are_read_as_people_read_them(formula, expected):
    assert value(formula, {"c": 64, "d": 3, "d'": 5}) == expected


@pytest.mark.parametrize("formula", ["2 ** c", "max(c, d)", "c ÷ d"])
def test_other_formulas_are_not(formula):
    with pytest.raises((AssertionError, KeyError)):
        value(formula, {"c": 64, "d": 3})
