"""The columns that a summary can show of a row, for machines and for people."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from composer.amounts import duration, size, thousands
from composer.dag.nodes.sharing import in_words
from composer.dag.tensor import TensorSpec
from composer.summary.rows import Output, Row


@dataclass(frozen=True)
class Column:
    """A column: its heading, its value, and its text. Numbers are right-aligned."""

    head: str
    value: Callable[[Row], Any]
    text: Callable[[Any], str] = str
    number: bool = False


def shape(output: Output) -> str:
    """A tensor's shape with its batch as N; of several tensors, each with its name."""
    if not isinstance(output, TensorSpec):
        return ", ".join(f"{name} {shape(tensor)}" for name, tensor in output.items())
    return output.written("N") or str(output)


def _operation(row: Row) -> str:
    # A block that a rule uses is itself what stands there.
    uses = [use for use in row.uses if use != row.op]
    words = " + ".join([row.op, *uses]) if row.rows and row.op else row.op
    return ", ".join([words, *in_words(row.shares)])


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
