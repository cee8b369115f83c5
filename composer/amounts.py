"""Amounts as text for people: counts, shares, bytes, seconds."""

from __future__ import annotations


def thousands(number: int | None, *, signed: bool = False) -> str:
    """A count with all digits: 1,234,567; `unknown` for None."""
    if number is None:
        return "unknown"
    return f"{number:+,}" if signed else f"{number:,}"


def three_figures(number: int) -> str:
    """A count with three figures.

    >>> three_figures(25_557_032), three_figures(999_999), three_figures(803)
    ('25.6 M', '1 M', '803')
    """
    for limit, letter in ((10**9, " G"), (10**6, " M"), (10**3, " k")):
        # 999,999 has three figures as 1 M, not as 1000 k.
        if number >= 0.9995 * limit:
            return f"{number / limit:.3g}{letter}"
    return str(number)


def millions(number: int | None) -> str:
    """A count in millions, or from 1 billion on in billions (G): 3.50 M, 4.09 G; `unknown` for None."""
    if number is None:
        return "unknown"
    return f"{number / 1e9:.2f} G" if number >= 1e9 else f"{number / 1e6:.2f} M"


def plural(number: int, noun: str, form: str = "") -> str:
    """A count and its noun; `form` is the number's format: `,` for thousands separators.

    >>> plural(1, "tensor"), plural(0, "box"), plural(2000, "parameter", ","), plural(3, "epoch")
    ('1 tensor', '0 boxes', '2,000 parameters', '3 epochs')
    """
    several = f"{noun}es" if noun.endswith(("s", "x", "tch", "nch")) else f"{noun}s"
    return f"{number:{form}} {noun if number == 1 else several}"


def share(part: int | None, whole: int | None) -> str:
    """A part of a whole in percent, with its sign; a dash if either is None or the whole is 0."""
    return f"{100 * part / whole:+.2f} %" if part is not None and whole else "–"


def size(number: int | None, *, signed: bool = False) -> str:
    """A number of bytes; `?` for None.

    >>> size(803), size(3 * 2**20), size(-1536, signed=True)
    ('803 B', '3.00 MiB', '-1.50 KiB')
    """
    if number is None:
        return "?"
    amount, unit = float(number), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if abs(amount) < 1024:
            break
        amount, unit = amount / 1024, larger
    return f"{amount:{'+' if signed else ''},.{0 if unit == 'B' else 2}f} {unit}"


def duration(seconds: float | None) -> str:
    """A time in µs, ms or s; `?` for None.

    >>> duration(4.2e-5), duration(0.0123), duration(2.5), duration(0)
    ('42.0 µs', '12.3 ms', '2.50 s', '0.0 µs')
    """
    if seconds is None:
        return "?"
    if seconds < 0.0009995:
        return f"{seconds * 1e6:.1f} µs"
    return f"{seconds * 1e3:.1f} ms" if seconds < 0.9995 else f"{seconds:,.2f} s"
