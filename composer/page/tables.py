"""Tables of a page, which hold values that many nodes share."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any

from composer.page.schema import OperationData, TablesData


@dataclass
class Table:
    """Plain values by number, a single value per key."""

    rows: list[Any] = field(default_factory=list)
    numbers: dict[Hashable, int] = field(default_factory=dict)

    def number(self, key: Hashable, make: Callable[[], Any]) -> int:
        """The number of the value with this key; `make` makes the value if the key is new."""
        if key not in self.numbers:
            # Making a value may first add other values.
            value = make()
            self.numbers[key] = len(self.rows)
            self.rows.append(value)
        return self.numbers[key]


@dataclass
class Tables:
    """The tables of a page, which its networks share.

    tensors     shape with the batch as N, and layout
    options     of an operation: name, value, source (`given`, `default`, `place`), and its expression if written
    weights     of an operation: keys of its state_dict without its own path, with their shapes; buffers are marked
    contents    of a block: its operations, with the number of each
    codes       heading and Python code
    operations  name -> facts from its docstring and entry
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
