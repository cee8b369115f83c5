"""SE-Var-2."""

from __future__ import annotations

from tests.mechanisms.case import Case, uniform

CASE = Case(
    starts=[({}, 1, {"fc.weight": uniform(1), "fc.bias": uniform(1)})],
    values=[({}, "b c 1 1", (0, 1))],
    costs=[({"bias": False}, ["without bias"])],
)
