"""Photographs as a network saw them, and maps laid over them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from composer.images import frame, per_channel
from composer.spec.model import InputSpec

# The longer side of a stored photograph, in pixels.
LARGEST = 512
# How dark a map's colour becomes where the photograph is black, and the share of its greys above the colour.
DARKEST, GREY = 0.5, 0.2


@dataclass(frozen=True)
class Photo:
    """The part of a photograph that the network saw, at the photograph's own resolution; h w 3 in 0..1."""

    name: str
    pixels: np.ndarray[Any, np.dtype[np.float32]] = field(repr=False)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width, in pixels."""
        return self.pixels.shape[0], self.pixels.shape[1]

    def within(self, longest: int) -> Photo:
        """The same photograph with no side longer than this."""
        height, width = self.size
        share = longest / max(height, width)
        if share >= 1:
            return self
        image = Image.fromarray((self.pixels * 255).round().astype(np.uint8))
        return Photo(self.name, _pixels(image.resize((max(1, round(width * share)), max(1, round(height * share))))))


def crop(path: Path, image: Image.Image, spec: InputSpec, shape: Sequence[int]) -> Photo:
    """The crop of an image that `prepare` gives a network with input `shape`, c h w."""
    (width, height), (left, top) = frame(image, spec, shape)
    across, down = image.width / width, image.height / height
    right, bottom = min(image.width, (left + shape[2]) * across), min(image.height, (top + shape[1]) * down)
    box = (left * across, top * down, right, bottom)
    longest = max(shape[1:])
    scale = min(max(LARGEST, longest), max(box[2] - box[0], box[3] - box[1], longest)) / longest
    size = (round(shape[2] * scale), round(shape[1] * scale))
    shown = image.convert("RGB").resize(size, Image.Resampling.BICUBIC, box=box)
    return Photo(path.name, _pixels(shown))


def _pixels(image: Image.Image) -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.asarray(image, dtype=np.float32) / np.float32(255)


def undo(name: str, tensor: Tensor, spec: InputSpec) -> Photo:
    """The picture of which a prepared input c h w was made, as far as it can be recovered."""
    for key, values, operation in (("std", spec.std, torch.mul), ("mean", spec.mean, torch.add)):
        if values is not None:
            tensor = operation(tensor, per_channel(key, values, len(tensor)).view(-1, 1, 1))
    tensor = tensor[:3] if len(tensor) in (3, 4) else tensor.mean(0, keepdim=True).expand(3, -1, -1)
    if spec.mean is None and spec.std is None:
        # The range of the pixels' values is not known.
        low, high = tensor.amin(), tensor.amax()
        tensor = (tensor - low) / (high - low).clamp(min=1e-12) if low < 0 or high > 1 else tensor
    return Photo(name, tensor.clamp(0, 1).permute(1, 2, 0).numpy())


def enlarge(values: Tensor, size: tuple[int, int]) -> Tensor:
    """A map h w at another size, bilinearly; each number stays at the middle of its area."""
    return F.interpolate(values[None, None].float(), size=size, mode="bilinear", align_corners=False)[0, 0]


def overlay(photo: Photo, values: Tensor, low: float, high: float, colours: str) -> Any:
    """A map h w in colours, shaded by the greys of a photograph; h w 3 in 0..1, of the photograph's size."""
    import matplotlib

    spread = enlarge(values, photo.size)
    share = ((spread - low) / (high - low) if high > low else torch.zeros_like(spread)).clamp(0, 1)
    coloured = matplotlib.colormaps[colours](share.numpy())[..., :3]
    grey = photo.pixels @ np.array([0.299, 0.587, 0.114], dtype=np.float32)
    shaded = coloured * (DARKEST + (1 - DARKEST) * grey[..., None])
    return (1 - GREY) * shaded + GREY * grey[..., None]
