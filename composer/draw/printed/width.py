"""The width of a figure as an author writes it: `8cm`, `80mm`, `3.3in`, `230pt`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from composer.errors import Diagnostic, InputError

# Units of SVG, of which 72 pt are an inch; TeX calls this pt `bp`.
POINTS = {"cm": 72 / 2.54, "mm": 72 / 25.4, "in": 72.0, "pt": 1.0}
STEPS = {"cm": 0.1, "mm": 1.0, "in": 0.05, "pt": 1.0}
# A page is no wider than this; it also keeps the picture's numbers small.
MOST_MILLIMETRES = 2000


@dataclass(frozen=True)
class Width:
    """A length: the number and the unit as written."""

    number: float
    unit: str

    @property
    def points(self) -> float:
        """The length in pt, 72 to an inch."""
        return self.number * POINTS[self.unit]

    @property
    def millimetres(self) -> float:
        """The length in mm."""
        return self.points / POINTS["mm"]

    def __str__(self) -> str:
        return f"{self.number:g}{self.unit}"

    def steps(self) -> Iterator[Width]:
        """Greater widths in this unit, step by step: 0.1 cm, 1 mm, 0.05 in or 1 pt."""
        step = STEPS[self.unit]
        for count in range(int(self.number / step + 1e-9) + 1, int(MOST_MILLIMETRES * POINTS["mm"] / step) + 1):
            width = Width(round(count * step, 2), self.unit)
            if width.millimetres > MOST_MILLIMETRES:
                return
            yield width


def read_width(text: str) -> Width:
    """The width that a text names. Raises InputError if it is no length, or no width that a figure can have."""
    found = re.fullmatch(r"(\d{1,6}(?:\.\d{1,6})?|\.\d{1,6})\s*(cm|mm|in|pt)", text.strip(), re.ASCII)
    if found is None:
        wanted = "a number and a unit: cm, mm, in or pt"
        raise InputError(Diagnostic("width", f"`{text}` is no width", label=wanted, help=("write `--width 8cm`",)))
    width = Width(float(found[1]), found[2])
    if not 0 < width.millimetres <= MOST_MILLIMETRES:
        most = f"more than nothing, and at most {MOST_MILLIMETRES // 1000} m"
        raise InputError(
            Diagnostic("width", f"a figure cannot be {width} wide", label=most, help=("write `--width 8cm`",))
        )
    return width
