"""Non-local."""

from __future__ import annotations

from tests.mechanisms.case import ZERO, Case, normal, reduced

CONVS = {f"{name}.{part}": law for name in ("g", "proj") for part, law in (("weight", normal(0.01)), ("bias", ZERO))}
EMBEDDED = {name: {"weight": normal(0.01), "bias": ZERO} for name in ("theta", "phi")}
GATE = {"bn": {"weight": ZERO, "bias": ZERO}}


def letters(c, h, w, conv, options):
    d, m = reduced(c, options, 2), (h // 2) * (w // 2) if options.get("sub_sample") else h * w
    amounts = {
        "embedded_gaussian": 2 * d * h * w * m,
        "gaussian": 2 * c * h * w * m,
        "dot_product": d * d * (h * w + m),
        "concatenation": d * (h * w + m) + d * h * w * m,
    }
    mode = options.get("mode", "embedded_gaussian")
    return {"d": d, "m": m, "t": 1 if mode == "gaussian" else 2, "A": amounts[mode]}


CASE = Case(
    # github.com/facebookresearch/video-nonlocal-net.
    starts=[
        ({}, 1, {**EMBEDDED, **CONVS, **GATE}),
        ({"mode": "gaussian"}, 1, {**CONVS, **GATE}),
        ({"mode": "concatenation"}, 1, {**EMBEDDED, **CONVS, **GATE, "concat": normal(0.01)}),
    ],
    values=[
        ({}, "b 1 n n", -1),
        ({"sub_sample": True}, "b 1 n 6", -1),
        ({"mode": "gaussian"}, "b 1 n n", -1),
        ({"mode": "dot_product"}, "b 1 n n", None),
        ({"mode": "concatenation"}, "b 1 n n", None),
    ],
    options=[
        {"scale": True},
        {"sub_sample": True},
        {"mode": "gaussian"},
        {"mode": "dot_product"},
        {"mode": "concatenation"},
    ],
    refusals={
        ("sub_sample=True", "keeps the shape"): "nl: sub_sample pools 2×2, the map is 1×1; set `sub_sample: false`"
    },
    numbers={"reduction": [4]},
    costs=[
        ({"reduction": 4, "scale": True}, []),
        ({"sub_sample": True}, []),
        ({"mode": "gaussian"}, ["at mode gaussian"]),
        ({"mode": "dot_product", "sub_sample": True}, []),
        ({"mode": "concatenation"}, ["at mode concatenation"]),
    ],
    letters=letters,
    fused=["forward", "backward"],
)
