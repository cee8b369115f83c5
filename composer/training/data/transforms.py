"""Images and targets of a split -> what a network is trained on and judged by."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from composer.errors import Diagnostic, InputError
from composer.images import normalised, prepare, scaled
from composer.spec.augment import Augment
from composer.spec.model import InputSpec
from composer.training.data.data import IGNORED, Task, as_pillow
from composer.training.data.extra import library

Target = int | Tensor | Image.Image
Transform = Callable[[Image.Image | Tensor, Target], tuple[Tensor, Any]]


@dataclass(frozen=True)
class Evaluation:
    """Prepares images exactly as `composer.images.prepare` does, and masks in the same frame; see
    `evaluation_transform`."""

    input: InputSpec
    shape: tuple[int, int, int]

    def __call__(self, image: Image.Image | Tensor, target: Target) -> tuple[Tensor, Any]:
        pixels = prepare(as_pillow(image, self.shape[0]), self.input, self.shape)
        if isinstance(target, Image.Image):
            return pixels, _classes(self.scaled_mask(target))
        return pixels, target

    def scaled_mask(self, mask: Image.Image) -> Image.Image:
        """The part of a mask that is kept of its image, in the network's size; no value lies between two others."""
        nearest = self.input.model_copy(update={"interpolation": "nearest"})
        return scaled(mask, nearest, self.shape)


@dataclass(frozen=True)
class Training:
    """Alters images by random numbers of PyTorch's generator, then prepares them; see `training_transform`."""

    evaluation: Evaluation
    crop: Any
    move: Any
    recolor: Any
    erase: Any

    def __call__(self, image: Image.Image | Tensor, target: Target) -> tuple[Tensor, Any]:
        input, shape = self.evaluation.input, self.evaluation.shape
        image = as_pillow(image, shape[0])
        if isinstance(target, Image.Image):
            image, mask = self._framed_with(image, target)
            kept = library("torchvision.tv_tensors", "masks").Mask(torch.from_numpy(np.array(mask)))
            image, kept = self.move(image, kept)
            target = kept.as_subclass(Tensor).long()
        else:
            image = self.move(self.crop(image) if self.crop else scaled(image, input, shape))
        return self.erase(normalised(self.recolor(image), input, shape)), target

    def _framed_with(self, image: Image.Image, mask: Image.Image) -> tuple[Image.Image, Image.Image]:
        """The same part of an image and of its mask, in the network's size.

        torchvision scales masks with its tensors' nearest neighbours, which lie up to half a pixel from Pillow's.
        """
        input, shape = self.evaluation.input, self.evaluation.shape
        if not self.crop:
            return scaled(image, input, shape), self.evaluation.scaled_mask(mask)
        part = self.crop.make_params([image])
        left, top = part["left"], part["top"]
        box = (left, top, left + part["width"], top + part["height"])
        kept = mask.crop(box).resize((shape[2], shape[1]), Image.Resampling.NEAREST)
        return self.crop.transform(image, part), kept


def evaluation_transform(input: InputSpec, shape: Sequence[int]) -> Transform:
    """How images are prepared when a network is judged: bit for bit as `composer.images.prepare` does it.

    input  states mean, std, interpolation and crop
    shape  (c, h, w) of the network's input

    The result takes an image and a target of a split. It gives the image as float c h w, and the target as it is, or
    a mask as int64 h w.
    """
    return Evaluation(input, _shape(shape))


def training_transform(augment: Augment, input: InputSpec, shape: Sequence[int], task: Task) -> Transform:
    """How images are altered and prepared when a network is trained; the same as for evaluation without `augment`.

    augment  what is altered; mixup and CutMix are left to `mixed`
    input    states mean, std, interpolation and crop
    shape    (c, h, w) of the network's input
    task     what is learnt of an image

    The result takes an image and a target of a split, draws from PyTorch's generator of this process, and gives what
    `evaluation_transform` says. Raises InputError for what cannot be altered so, and UnavailableError without
    torchvision.
    """
    channels, height, width = shape = _shape(shape)
    _check(augment, channels, task)
    v2 = library("torchvision.transforms.v2", "augmentation")
    filter = v2.InterpolationMode(input.interpolation)
    crop = augment.crop and v2.RandomResizedCrop((height, width), augment.crop, augment.ratio, filter, antialias=True)
    erase = v2.RandomErasing(augment.erase) if augment.erase else _unchanged
    move, recolor = _moves(v2, augment, height, width), _colors(v2, augment, filter)
    return Training(Evaluation(input, shape), crop, _chain(v2, move), _chain(v2, recolor), erase)


def _moves(v2: Any, augment: Augment, height: int, width: int) -> Iterator[Any]:
    if augment.pad:
        mask = library("torchvision.tv_tensors", "masks").Mask
        yield v2.RandomCrop((height, width), augment.pad, fill={mask: IGNORED, "others": 0})
    if augment.flip:
        yield v2.RandomHorizontalFlip()
    if augment.vertical_flip:
        yield v2.RandomVerticalFlip()


def _colors(v2: Any, augment: Augment, filter: Any) -> Iterator[Any]:
    if augment.color:
        yield v2.ColorJitter(**augment.color.model_dump())
    if augment.randaugment:
        yield v2.RandAugment(augment.randaugment.ops, augment.randaugment.magnitude, interpolation=filter)
    if augment.trivialaugment:
        yield v2.TrivialAugmentWide(interpolation=filter)


def _chain(v2: Any, steps: Iterator[Any]) -> Any:
    found = list(steps)
    return v2.Compose(found) if found else _unchanged


def _unchanged(*values: Any) -> Any:
    return values[0] if len(values) == 1 else values


def _classes(mask: Image.Image) -> Tensor:
    return torch.from_numpy(np.array(mask, dtype=np.int64))


def _shape(shape: Sequence[int]) -> tuple[int, int, int]:
    if len(shape) != 3 or shape[0] not in (1, 3, 4):
        text = f"the network's input is {'×'.join(map(str, shape))}"
        raise InputError(Diagnostic("augment", text, label="images of 1, 3 or 4 channels, c×h×w"))
    return shape[0], shape[1], shape[2]


def _check(augment: Augment, channels: int, task: Task) -> None:
    """Raises InputError for alterations that torchvision does not make of such images or targets."""
    colors = [name for name in ("color", "randaugment", "trivialaugment") if getattr(augment, name)]
    if colors and channels == 4:
        text = f"`{colors[0]}` does not take images with an alpha channel"
        raise InputError(Diagnostic("augment", text, label="1 or 3 channels", help=(f"leave `{colors[0]}` out",)))
    moving = [name for name in colors if name != "color"]
    if moving and task == "map":
        text = f"`{moving[0]}` moves images, and not their masks with them"
        help = (f"leave `{moving[0]}` out: crop, pad, flip and color go with masks",)
        raise InputError(Diagnostic("augment", text, label="no masks", help=help))
    if augment.mixes and task not in ("classes", "labels"):
        name = "mixup" if augment.mixup else "cutmix"
        text = f"`{name}` mixes classes, and the task is {task}"
        raise InputError(Diagnostic("augment", text, label="classes or labels", help=(f"leave `{name}` out",)))
