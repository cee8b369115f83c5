"""What a network costs: in all, by rows, and by each attention rule."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from composer.dag.scope import TensorSpec
from composer.summary.cost import Cost
from composer.summary.rows import Row


@dataclass(frozen=True)
class RuleCost:
    """What one attention rule did: its mechanism and place as written, paths of its mechanisms, and what they cost."""

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
    """A network's rows and totals.

    root     the row of the whole network, above all others
    plain    what the same network costs without its attention rules
    rules    what each of them added, in the order they apply
    unknown  why activation memory is not known; empty when it is
    edits    which modules of a live network are others by now than those described here
    """

    name: str
    inputs: Mapping[str, TensorSpec]
    outputs: Mapping[str, TensorSpec]
    root: Row
    plain: Cost
    rules: tuple[RuleCost, ...]
    unknown: str = ""
    edits: tuple[str, ...] = ()

    @property
    def cost(self) -> Cost:
        """What the network costs."""
        return self.root.cost

    def to_json(self) -> dict[str, Any]:
        """Everything, as plain JSON values."""
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
