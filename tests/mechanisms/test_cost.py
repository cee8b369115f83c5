"""The costs that each docstring states are what the meta device counts, at several sizes and with several options."""

from __future__ import annotations

import math
import re

import pytest

import composer
from composer import registry

# channels, height, width; tokens are height * width.
SIZES = [(64, 14, 21), (32, 9, 7)]
# How a convolution is replaced: out_channels, kernel_size, stride, groups.
CONVS = [(64, 3, 1, 1), (32, 3, 2, 4), (96, 5, 1, 2), (64, (1, 1), (2, 1), 16)]
LETTERS = r"[A-Za-z]'?"


def halvings(size, extent):
    """ceil(size / 2^j) for j from 1 to log2(extent)."""
    return [math.ceil(size / 2**step) for step in range(1, extent.bit_length())]


def letters(name, c, h, w, conv, options):
    """What the letters of a mechanism's formulas stand for, worked out from its place and its options alone."""
    o, kernel, stride, g = conv
    k = kernel if isinstance(kernel, int) else kernel[0]
    down, across = (stride, stride) if isinstance(stride, int) else stride
    reduction = options.get("reduction", {"nl": 2, "dynconv": 4, "splat": 4}.get(name, 16))
    extent, heads, radix = options.get("extent", 0), options.get("num_heads", 8), options.get("radix", 2)
    found = {"c": c, "o": o, "h": h, "w": w, "k": k, "g": g, "h'": math.ceil(h / down), "w'": math.ceil(w / across)}
    found |= {"d": options.get("hidden", max(1, c // reduction)), "n": h * w, "H": heads, "i": extent.bit_length() - 1}
    found |= {"p": options.get("head_dim", c // heads), "m": (h // 2) * (w // 2)}
    if options.get("avd") == "after":
        found |= {"h'": h, "w'": w}
    rows, columns = halvings(h, extent), halvings(w, extent)
    found["S"] = sum(r * s for r, s in zip(rows, columns, strict=True))
    found["s"] = rows[-1] * columns[-1] if extent else 1
    own = {
        "eca": lambda: {"k": options.get("kernel_size", {64: 3, 32: 3}[c])},
        "cbam": lambda: {"k": options.get("kernel_size", 7)},
        "cbam_spatial": lambda: {"k": options.get("kernel_size", 7)},
        "sk": lambda: {"m": options.get("branches", 2), "d": max(o // reduction, options.get("floor", 32))},
        "splat": lambda: {
            "R": radix,
            "K": options.get("cardinality", g),
            "d": max(c * radix // reduction, options.get("floor", 32)),
        },
        "condconv": lambda: {"n": options.get("num_experts", 8)},
        "dynconv": lambda: {"n": options.get("num_experts", 4)},
        "sa": lambda: {"p": options.get("head_dim", 64)},
        "bot": lambda: {"p": o // options.get("num_heads", 4)},
        "sasa": lambda: {"k": options.get("window", 7)},
    }
    return found | own.get(name, dict)()


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


# (mechanism, options, the words of the docstring that then hold)
CASES = [
    ("se", {"bias": False}, ["without bias"]),
    ("se", {"reduction": 4}, []),
    ("se", {"reduction": 999}, []),
    ("se", {"hidden": 5}, []),
    ("se_var2", {"bias": False}, ["without bias"]),
    ("ese", {"bias": False}, ["without bias"]),
    ("eca", {"kernel_size": 9}, []),
    ("cbam_channel", {"bias": False, "reduction": 8}, ["without bias"]),
    ("cbam_spatial", {"bias": False, "kernel_size": 3}, ["without bias"]),
    ("cbam_spatial", {"norm": True}, ["with norm"]),
    ("cbam", {"bias": False, "kernel_size": 3}, ["without bias"]),
    ("cbam", {"norm": True, "reduction": 2}, ["with norm"]),
    ("bam", {"reduction": 4, "dilation": 2, "fuse": "add"}, []),
    *[(name, {"norm_at": "last"}, ["with the norm last"]) for name in ("bam", "bam_channel", "bam_spatial")],
    ("bam_channel", {"reduction": 4}, []),
    ("bam_spatial", {"reduction": 4}, []),
    ("ge_minus", {"extent": 3}, []),
    *[(name, {"extent": extent}, ["with an extent of 2^i"]) for name in ("ge", "ge_plus") for extent in (2, 4, 8, 16)],
    ("ge_plus", {"bias": False, "reduction": 8}, ["without bias"]),
    ("ge_plus", {"extent": 4, "bias": False}, ["with an extent of 2^i", "without bias"]),
    ("sk", {"branches": 1}, []),
    ("sk", {"branches": 3, "reduction": 2, "floor": 1}, []),
    ("splat", {"radix": 0}, ["at R = 0"]),
    ("splat", {"radix": 1, "cardinality": 1}, []),
    ("splat", {"radix": 4, "cardinality": 1, "reduction": 2, "floor": 4}, []),
    ("splat", {"cardinality": 4}, []),
    *[("splat", {"avd": avd, "cardinality": 1}, []) for avd in ("before", "after")],
    ("condconv", {"num_experts": 3}, []),
    ("condconv", {"bias": True}, ["with bias"]),
    ("dynconv", {"bias": True, "num_experts": 2}, ["with bias"]),
    ("dynconv", {"reduction": 999}, []),
    ("mhsa", {"num_heads": 3, "head_dim": 10}, []),
    ("mhsa", {"bias": False, "mode": "hard"}, ["without bias"]),
    ("sa", {"head_dim": 10, "bias": False}, ["without bias"]),
    ("nl", {"reduction": 4, "scale": True}, []),
    ("nl", {"sub_sample": True}, ["with sub_sample"]),
    ("bot", {"num_heads": 8}, []),
    ("sasa", {"window": 3, "num_heads": 4}, []),
]
OURS = [entry.name for entry in registry.entries("mechanism") if entry.plugin.name == "composer"]


def cases():
    for name, options, case in [*((name, {}, []) for name in OURS), *CASES]:
        for size in SIZES:
            for conv in CONVS if registry.get(name).replaces else CONVS[:1]:
                place = f"{size} {conv}" if registry.get(name).replaces else f"{size}"
                yield pytest.param(name, options, case, size, conv, id=f"{name} {options} at {place}")


@pytest.mark.parametrize(("name", "options", "case", "size", "conv"), list(cases()))
def test_cost_is_what_the_docstring_states(name, options, case, size, conv):
    entry = registry.get(name)
    c, h, w = size
    names = ("out_channels", "kernel_size", "stride", "groups")
    settings = {key: at for key, at in zip(names, conv, strict=True) if key in entry.settings.model_fields}
    shape = {"shape": [h * w, c], "layout": "b n c"} if entry.works_on == "b n c" else [c, h, w]
    node = {"op": name, **{key: list(at) if isinstance(at, tuple) else at for key, at in settings.items()}, **options}
    graph = composer.graph({"input": shape, "nodes": {"tested": node}})
    meanings = letters(name, c, h, w, conv, options)
    found = (graph.num_parameters, graph.num_macs)
    assert found == tuple(stated(entry.doc, row, case, meanings) for row in ("Params", "MACs"))


def test_a_given_router_costs_nothing():
    given = {"op": "condconv", "out_channels": 8, "router": "given", "num_experts": 3, "from": ["input", "router"]}
    nodes = {"router": {"op": "condconv_router", "num_experts": 3}, "conv": given}
    flat = composer.graph({"input": [4, 6, 6], "nodes": nodes}).networkx().nodes["conv"]
    meanings = letters("condconv", 4, 6, 6, (8, 3, 1, 1), {"num_experts": 3})
    doc, case = registry.get("condconv").doc, ["with a given router"]
    assert flat["parameters"] == stated(doc, "Params", case, meanings)
    assert flat["macs"] == stated(doc, "MACs", case, meanings)


def test_every_case_of_a_docstring_is_tested():
    used = {(name, words) for name, _, case in CASES for words in case} | {("condconv", "with a given router")}
    for name in OURS:
        doc = registry.get(name).doc
        rows = [
            re.search(rf"^{row}:\s+(.*)$", doc, re.MULTILINE)[1].partition("        ")[0] for row in ("Params", "MACs")
        ]
        words = re.findall(r";  [^;]*? ((?:with|without|at) [^;]*?)(?=;|,  |$)", ";  ".join(["", *rows]))
        missing = {one for one in words if (name, one) not in used}
        assert name == "se_var3" or not missing, (name, missing)


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
