"""The features at each scale, as timm's `feature_info` lists them."""

from __future__ import annotations

from typing import Any

from composer.dag.levels import Level


class FeatureInfo(list[dict[str, Any]]):
    """A list of levels in timm's form, the finest first."""

    def __init__(self, levels: list[Level]) -> None:
        super().__init__({"num_chs": one.channels, "reduction": one.reduction, "module": one.path} for one in levels)

    def channels(self) -> list[int]:
        """Channels per level."""
        return [one["num_chs"] for one in self]

    def reduction(self) -> list[int]:
        """Input pixels per position, in each direction, per level."""
        return [one["reduction"] for one in self]

    def module_name(self) -> list[str]:
        """Path of the module that gives each level."""
        return [one["module"] for one in self]
