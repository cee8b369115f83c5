"""Facts about networks of timm and torchvision and their configurations. Networks stay on the meta device."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, get_args

import torch
from torch import nn

from composer.spec.model import InputSpec
from composer.weights.facts import Facts
from composer.weights.uses import Uses, uses_of

_INTERPOLATIONS = get_args(InputSpec.model_fields["interpolation"].annotation)


def facts_of_timm(make: Callable[[], nn.Module]) -> Facts:
    """Facts about the timm network that `make` makes, without weights."""
    model = _on_meta(make)
    config = getattr(model, "pretrained_cfg", None) or {}
    image = image_of_timm(config)
    return Facts(image, _uses(model, image))


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


def facts_of_torchvision(make: Callable[[], nn.Module], transforms: Any) -> Facts:
    """Facts about the torchvision network that `make` makes, and about the transforms of its weights."""
    model = _on_meta(make)
    image = _image_of_torchvision(transforms)
    if image is not None and hasattr(model, "transform_input"):
        # With weights, its forward first changes ImageNet's mean and std into 0.5 and 0.5.
        image = image.model_copy(update={"mean": [0.5] * 3, "std": [0.5] * 3})
    return Facts(image, _uses(model, image))


def _image_of_torchvision(transforms: Any) -> InputSpec | None:
    crop, resize = (getattr(transforms, name, None) for name in ("crop_size", "resize_size"))
    if not crop or not resize:
        return None
    found: dict[str, Any] = {"shape": [3, crop[0], crop[0]], "crop": min(1.0, crop[0] / resize[0])}
    found.update({name: list(getattr(transforms, name)) for name in ("mean", "std")})
    if transforms.interpolation.value in _INTERPOLATIONS:
        found["interpolation"] = transforms.interpolation.value
    return InputSpec(**found)


def _on_meta(make: Callable[[], nn.Module]) -> nn.Module:
    try:
        with torch.device("meta"):
            return make()
    except (RuntimeError, NotImplementedError):
        # Some networks compute their widths with tensors, which fails on the meta device.
        return make().to("meta")


def _uses(model: nn.Module, image: InputSpec | None) -> Uses:
    """How the network uses its tensors; empty if the meta device cannot show it."""
    try:
        return uses_of(model, [tuple(map(int, image.shape)) if image else (3, 224, 224)])
    except Exception:
        # Third-party code may fail in any way on tensors without values.
        return {}
