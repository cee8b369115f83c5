"""How images are prepared for a network, from the configurations of timm and torchvision."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from composer.spec.model import InputSpec

_INTERPOLATIONS = get_args(InputSpec.model_fields["interpolation"].annotation)


def image_of_timm(config: Mapping[str, Any]) -> InputSpec | None:
    """How images are prepared, from a timm configuration; None if it states no size."""
    if not config.get("input_size"):
        return None
    found: dict[str, Any] = {"shape": list(config["input_size"])}
    found.update({name: list(config[name]) for name in ("mean", "std") if config.get(name)})
    if config.get("interpolation") in _INTERPOLATIONS:
        found["interpolation"] = config["interpolation"]
    if config.get("crop_pct"):
        found["crop"] = float(config["crop_pct"])
    return InputSpec(**found)


def image_of_torchvision(transforms: Any) -> InputSpec | None:
    """How images are prepared, from the transforms of torchvision's weights; None if they state no size."""
    crop, resize = (getattr(transforms, name, None) for name in ("crop_size", "resize_size"))
    if not crop or not resize:
        return None
    found: dict[str, Any] = {"shape": [3, crop[0], crop[0]], "crop": min(1.0, crop[0] / resize[0])}
    found.update({name: list(getattr(transforms, name)) for name in ("mean", "std")})
    if transforms.interpolation.value in _INTERPOLATIONS:
        found["interpolation"] = transforms.interpolation.value
    return InputSpec(**found)
