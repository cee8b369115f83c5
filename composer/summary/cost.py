"""What a part of a network costs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Cost:
    """Learnable numbers, multiply-accumulates of one input, and bytes that one more example adds to a training step.

    memory  what `activation_memory` counts; None where it could not be counted
    """

    parameters: int = 0
    macs: int = 0
    memory: int | None = 0

    def __add__(self, other: Cost) -> Cost:
        memory = None if self.memory is None or other.memory is None else self.memory + other.memory
        return Cost(self.parameters + other.parameters, self.macs + other.macs, memory)

    def __sub__(self, other: Cost) -> Cost:
        memory = None if self.memory is None or other.memory is None else self.memory - other.memory
        return Cost(self.parameters - other.parameters, self.macs - other.macs, memory)

    def to_json(self) -> dict[str, Any]:
        """The numbers by name."""
        return {"parameters": self.parameters, "macs": self.macs, "memory": self.memory}
