"""SE-Var-1."""

from __future__ import annotations

from tests.mechanisms.case import Case

CASE = Case(
    starts=[({}, 1, {})],
    values=[({}, "b c 1 1", (0, 1))],
)
