"""The columns that a summary can show of a row, for machines and for people."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from composer.dag.scope import TensorSpec
from composer.lines import thousands
from composer.summary.rows import Output, Row


@dataclass(frozen=True)
class Column:
    """A column: its heading, its value, and its text. Numbers are right-aligned."""

    head: str
    value: Callable[[Row], Any]
    text: Callable[[Any], str] = str
    number: bool = False


def size(number: int | None, *, signed: bool = False) -> str:
    """Bytes as people read them; `?` if not known.

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
    """Seconds as people read them; `?` if not measured.

    >>> duration(4.2e-5), duration(0.0123), duration(2.5), duration(0)
    ('42.0 µs', '12.3 ms', '2.50 s', '0.0 µs')
    """
    if seconds is None:
        return "?"
    if seconds < 0.0009995:
        return f"{seconds * 1e6:.1f} µs"
    return f"{seconds * 1e3:.1f} ms" if seconds < 0.9995 else f"{seconds:,.2f} s"


def shape(output: Output) -> str:
    """A tensor's shape with its batch as N; of several tensors, each with its name."""
    if not isinstance(output, TensorSpec):
        return ", ".join(f"{name} {shape(tensor)}" for name, tensor in output.items())
    axes = (output.layout or "").split()
    if "b" not in axes:
        return str(output)
    return "×".join("N" if axis == "b" else str(length) for axis, length in zip(axes, output.shape, strict=True))


def _operation(row: Row) -> str:
    return " + ".join([row.op, *row.uses]) if row.rows and row.op else row.op


def _options(row: Row) -> str:
    given = row.options or {}
    return ", ".join(f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in given.items())


def _times(count: int) -> str:
    return thousands(count) if count > 1 else ""


COLUMNS: Mapping[str, Column] = {
    "op": Column("operation", _operation),
    "count": Column("×", lambda row: row.count, _times, number=True),
    "output": Column("output", lambda row: shape(row.output)),
    "parameters": Column("parameters", lambda row: row.cost.parameters, thousands, number=True),
    "macs": Column("MACs", lambda row: row.cost.macs, thousands, number=True),
    "memory": Column("memory", lambda row: row.cost.memory, size, number=True),
    "time": Column("time", lambda row: row.time, duration, number=True),
    "source": Column("source", lambda row: row.source),
    "options": Column("options", _options),
}
USUAL = ("op", "count", "output", "parameters", "macs", "memory", "source")
