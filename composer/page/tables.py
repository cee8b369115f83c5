"""What a page says of many nodes, written once."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any

from composer.page.schema import OperationData, TablesData


@dataclass
class Table:
    """Plain values by number; equal keys are one value."""

    rows: list[Any] = field(default_factory=list)
    numbers: dict[Hashable, int] = field(default_factory=dict)

    def number(self, key: Hashable, make: Callable[[], Any]) -> int:
        """The number of the value with this key; it is made when the key is new."""
        if key not in self.numbers:
            # Making a value may write others first.
            value = make()
            self.numbers[key] = len(self.rows)
            self.rows.append(value)
        return self.numbers[key]


@dataclass
class Tables:
    """The tables of one page, whatever networks are on it.

    tensors     shape with the batch as N, and layout
    options     of an operation: name, value, whence (`given`, `default`, `place`), and the expression that was written
    weights     of an operation: keys of its state_dict behind its own path, with their shapes; buffers are marked
    contents    of a block: how many of which operations are in it
    codes       a heading, and Python
    operations  by name: what a docstring says of it
    """

    tensors: Table = field(default_factory=Table)
    options: Table = field(default_factory=Table)
    weights: Table = field(default_factory=Table)
    contents: Table = field(default_factory=Table)
    codes: Table = field(default_factory=Table)
    operations: dict[str, OperationData] = field(default_factory=dict)

    def to_json(self) -> TablesData:
        """Plain JSON values."""
        return {
            "tensors": self.tensors.rows,
            "options": self.options.rows,
            "weights": self.weights.rows,
            "contents": self.contents.rows,
            "codes": self.codes.rows,
            "operations": self.operations,
        }
