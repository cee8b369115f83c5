"""PAM of DANet."""

from __future__ import annotations

import math

from tests.mechanisms.case import ZERO, Case, uniform

CONV = {"weight": uniform(512), "bias": uniform(512)}


def letters(c, h, w, conv, options):
    d = max(1, c // options.get("reduction", 8))
    return {"d": d, "m": math.ceil(c / d)}


CASE = Case(
    starts=[({"reduction": 2}, 1, {"query_conv": CONV, "key_conv": CONV, "value_conv": CONV, "gamma": ZERO})],
    values=[({}, "b 1 n n", -1)],
    options=[{"reduction": 5}],
    numbers={"reduction": [1, 3, 999]},
    costs=[({"reduction": 5}, []), ({"reduction": 999}, [])],
    letters=letters,
)
