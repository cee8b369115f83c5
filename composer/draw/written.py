"""Amounts in boxes and legends, in three figures; as the page's script writes them (client/src/numbers.js)."""

from __future__ import annotations

from collections.abc import Callable, Mapping


def figures(number: float) -> str:
    """A number in three figures, as JavaScript writes numbers.

    >>> figures(1234), figures(0.5), figures(-0.00012345), figures(1.5e-8), figures(2e30)
    ('1230', '0.5', '-0.000123', '1.5e-8', '2e+30')
    """
    rounded = float(f"{number:.2e}")
    if rounded == 0 or 1e-6 <= abs(rounded) < 1e21:
        return f"{abs(rounded) if rounded == 0 else rounded:.9f}".rstrip("0").rstrip(".")
    mantissa, _, exponent = f"{rounded:e}".partition("e")
    sign = "+" if exponent.startswith("+") else "-"
    return f"{mantissa.rstrip('0').rstrip('.')}e{sign}{exponent[1:].lstrip('0')}"


def _count(number: float) -> str:
    for limit, letter in ((1e12, " T"), (1e9, " G"), (1e6, " M"), (1e3, " k")):
        # 999,999 has three figures as 1 M, not as 1000 k.
        if abs(number) >= 0.9995 * limit:
            return f"{figures(number / limit)}{letter}"
    return figures(number)


def _bytes(number: float) -> str:
    units = ["B", "KiB", "MiB", "GiB", "TiB"]
    while abs(number) >= 1024 and len(units) > 1:
        number, units = number / 1024, units[1:]
    return f"{figures(number)} {units[0]}"


def _seconds(number: float) -> str:
    if number >= 1:
        return f"{figures(number)} s"
    return f"{figures(number * 1e3)} ms" if number >= 1e-3 else f"{figures(number * 1e6)} µs"


def _share(number: float) -> str:
    """A part of 1 in percent; what is there is never `0 %`."""
    percent = 100 * number
    return "< 0.01 %" if 0 < percent < 0.01 else f"{figures(percent)} %"


WRITTEN: Mapping[str, Callable[[float], str]] = {
    "count": _count,
    "bytes": _bytes,
    "seconds": _seconds,
    "share": _share,
    "number": figures,
}
