"""What networks of timm and torchvision, made on the meta device, and their configurations say of weights."""

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
    """What a network of timm's says; `make` makes it without weights."""
    model = _on_meta(make)
    config = getattr(model, "pretrained_cfg", None) or {}
    image = image_of_timm(config)
    return Facts(image, _uses(model, image))


def image_of_timm(config: Mapping[str, Any]) -> InputSpec | None:
    """How a configuration of timm's says that images are prepared; None where it says no size."""
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
    """What a network of torchvision's and the transforms of its weights say."""
    model = _on_meta(make)
    image = _image_of_torchvision(transforms)
    if image is not None and hasattr(model, "transform_input"):
        # With weights, its forward turns mean and std of ImageNet into these before anything else.
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
        # Some compute their widths with tensors.
        return make().to("meta")


def _uses(model: nn.Module, image: InputSpec | None) -> Uses:
    """How it uses its tensors; nothing where that cannot be seen on the meta device."""
    try:
        return uses_of(model, [tuple(map(int, image.shape)) if image else (3, 224, 224)])
    except Exception:
        # Code of others may fail on tensors without values in every way that Python code can.
        return {}
