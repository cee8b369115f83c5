"""Facts about networks of timm and torchvision and their configurations. Networks stay on the meta device."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from composer.spec.model import InputSpec
from composer.spec.peers import image_of_timm, image_of_torchvision
from composer.weights.facts import Facts
from composer.weights.uses import Uses, uses_of


def facts_of_timm(make: Callable[[], nn.Module]) -> Facts:
    """Facts about the timm network that `make` makes, without weights."""
    model = _on_meta(make)
    config = getattr(model, "pretrained_cfg", None) or {}
    image = image_of_timm(config)
    return Facts(image, _uses(model, image))


def facts_of_torchvision(make: Callable[[], nn.Module], transforms: Any) -> Facts:
    """Facts about the torchvision network that `make` makes, and about the transforms of its weights."""
    model = _on_meta(make)
    image = image_of_torchvision(transforms)
    if image is not None and hasattr(model, "transform_input"):
        # With weights, its forward first changes ImageNet's mean and std into 0.5 and 0.5.
        image = image.model_copy(update={"mean": [0.5] * 3, "std": [0.5] * 3})
    return Facts(image, _uses(model, image))


def _on_meta(make: Callable[[], nn.Module]) -> nn.Module:
    try:
        with torch.device("meta"):
            return make()
    except RuntimeError:
        # Some networks compute their widths with tensors, which fails on the meta device.
        return make().to("meta")


def _uses(model: nn.Module, image: InputSpec | None) -> Uses:
    """How the network uses its tensors; empty if the meta device cannot show it."""
    try:
        return uses_of(model, [tuple(map(int, image.shape)) if image else (3, 224, 224)])
    except Exception:
        # Third-party code may fail in any way on tensors without values.
        return {}
