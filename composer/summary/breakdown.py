"""The costs of a network: in total, by row, and by attention rule."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from composer.dag.tensor import TensorSpec
from composer.summary.cost import Cost
from composer.summary.rows import Row


@dataclass(frozen=True)
class RuleCost:
    """The effect of an attention rule: its mechanism and place as written, paths of its mechanisms, and their cost."""

    use: str
    at: str
    paths: tuple[str, ...]
    cost: Cost

    def to_json(self) -> dict[str, Any]:
        """The same as plain JSON values."""
        found = {"use": self.use, "at": self.at, "places": len(self.paths), "paths": list(self.paths)}
        return {**found, **self.cost.to_json()}


@dataclass(frozen=True, repr=False)
class Breakdown:
    """The rows and totals of a network.

    root     the row of the whole network, above all others
    plain    the cost of the same network without its attention rules
    rules    the cost that each rule added, in the order in which the rules apply
    unknown  why activation memory is not known; empty if it is known
    edits    sentences on modules of a live network that were changed since it was composed
    training names of the outputs that only training has
    """

    name: str
    inputs: Mapping[str, TensorSpec]
    outputs: Mapping[str, TensorSpec]
    root: Row
    plain: Cost
    rules: tuple[RuleCost, ...]
    unknown: str = ""
    edits: tuple[str, ...] = ()
    training: frozenset[str] = frozenset()

    @property
    def cost(self) -> Cost:
        """The cost of the whole network."""
        return self.root.cost

    def to_json(self) -> dict[str, Any]:
        """All of it as plain JSON values."""
        return {
            "name": self.name,
            "edits": list(self.edits),
            "inputs": {name: list(tensor.without_batch) for name, tensor in self.inputs.items()},
            "outputs": {name: list(tensor.without_batch) for name, tensor in self.outputs.items()},
            **self.cost.to_json(),
            "time": self.root.time,
            "memory_unknown": self.unknown or None,
            "without_attention": self.plain.to_json(),
            "rules": [rule.to_json() for rule in self.rules],
            "rows": [row.to_json() for row in self.root.rows],
        }
