"""The cost of a part of a network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from composer.dag.macs import growth, total


@dataclass(frozen=True)
class Cost:
    """Learnable numbers, multiply-accumulates per example, and bytes per example in a training step.

    macs    None if the multiply-accumulates of an operation are not known
    memory  as `activation_memory` counts it; None if it could not be counted
    """

    parameters: int = 0
    macs: int | None = 0
    memory: int | None = 0

    def __add__(self, other: Cost) -> Cost:
        macs, memory = total([self.macs, other.macs]), total([self.memory, other.memory])
        return Cost(self.parameters + other.parameters, macs, memory)

    def __sub__(self, other: Cost) -> Cost:
        macs, memory = growth(self.macs, other.macs), growth(self.memory, other.memory)
        return Cost(self.parameters - other.parameters, macs, memory)

    def to_json(self) -> dict[str, Any]:
        """The numbers by name."""
        return {"parameters": self.parameters, "macs": self.macs, "memory": self.memory}
