"""Double attention."""

from __future__ import annotations

from tests.mechanisms.case import Case, uniform

CONV = {"weight": uniform(512), "bias": uniform(512)}


def letters(c, h, w, conv, options):
    hidden = max(2, c // options.get("reduction", 4))
    return {"m": hidden, "n": hidden}


CASE = Case(
    starts=[
        (
            {"reduction": 1},
            1,
            dict.fromkeys(("convA", "convB", "convV", "proj"), CONV),
        )
    ],
    values=[({}, "b 1 n n", -1)],
    options=[{"reduction": 999}],
    numbers={"reduction": [2]},
    costs=[({"reduction": 2}, [])],
    letters=letters,
)
