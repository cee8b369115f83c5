"""What timm calls feature_info."""

from __future__ import annotations

from typing import Any

from composer.dag.levels import Level


class FeatureInfo(list[dict[str, Any]]):
    """A list of levels as timm gives it, from the finest on."""

    def __init__(self, levels: list[Level]) -> None:
        super().__init__({"num_chs": one.channels, "reduction": one.reduction, "module": one.path} for one in levels)

    def channels(self) -> list[int]:
        """Channels of each level."""
        return [one["num_chs"] for one in self]

    def reduction(self) -> list[int]:
        """How many input pixels a position stands for, in each direction."""
        return [one["reduction"] for one in self]

    def module_name(self) -> list[str]:
        """Paths of the modules that give them."""
        return [one["module"] for one in self]
