"""Mixup and CutMix: images of a batch, and their targets, are mixed in pairs."""

from __future__ import annotations

import torch
from torch import Tensor

from composer.seeds import seed_of
from composer.spec.augment import Augment
from composer.training.data.drawing import drawing
from composer.training.data.extra import library


def mixed(
    images: Tensor, targets: Tensor, augment: Augment, *, classes: int, seed: int, step: int
) -> tuple[Tensor, Tensor]:
    """A batch whose images are each mixed with the one before it, the first with the last.

    images   float b c h w
    targets  classes as int64 b, or labels as float b k
    augment  alpha of `mixup` and of `cutmix`; with both, one of the two is drawn for the batch, each as often
    classes  the number of classes or labels, k
    seed     of the run
    step     the number of the batch in the run: the same seed and step give the same result

    Returns images b c h w and targets float b k. Raises UnavailableError without torchvision.
    Source: Zhang et al., arXiv:1710.09412; Yun et al., arXiv:1905.04899; drawn for a batch as timm does.
    """
    v2 = library("torchvision.transforms.v2", "mixup and CutMix")
    with drawing(seed_of(seed, f"mix:{step}")):
        kinds = [(v2.MixUp, augment.mixup), (v2.CutMix, augment.cutmix)]
        chosen = [(kind, alpha) for kind, alpha in kinds if alpha > 0]
        number = int(torch.randint(len(chosen), ())) if len(chosen) > 1 else 0
        kind, alpha = chosen[number]
        # Labels are mixed as they are; torchvision makes rows of classes.
        mix = kind(alpha=alpha, num_classes=classes if targets.ndim == 1 else None)
        found: tuple[Tensor, Tensor] = mix(images, targets)
    return found
