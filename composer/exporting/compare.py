"""Differences between what a network and a file of it compute."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Run:
    """A run of a file beside the network.

    shapes      of the inputs
    difference  the largest of an output, absolute
    relative    the same, as a share of the largest absolute value of that output
    """

    shapes: tuple[tuple[int, ...], ...]
    difference: float
    relative: float

    @property
    def words(self) -> str:
        """The shapes of the inputs, in words."""
        return " and ".join("×".join(map(str, one)) or "a scalar" for one in self.shapes)

    def to_json(self) -> dict[str, Any]:
        """The same as plain JSON values."""
        return {
            "shapes": [list(one) for one in self.shapes],
            "difference": self.difference,
            "relative": self.relative,
        }


def run_of(inputs: Sequence[Tensor], found: Sequence[Tensor], expected: Sequence[Tensor]) -> Run:
    """The differences of a run. Raises ValueError for another number or other shapes of outputs."""
    _alike(found, expected)
    shapes = tuple(tuple(one.shape) for one in inputs)
    largest = max((_largest(a, b) for a, b in zip(found, expected, strict=True)), default=0.0)
    return Run(shapes, largest, relative(found, expected))


def relative(found: Sequence[Tensor], expected: Sequence[Tensor]) -> float:
    """The largest difference of an output, as a share of its largest absolute value; infinite if one is not finite.

    Raises ValueError for another number or other shapes of outputs.
    """
    _alike(found, expected)
    shares = [0.0]
    for one, other in zip(found, expected, strict=True):
        scale = other.double().abs().max().item() if other.numel() else 0.0
        difference = _largest(one, other)
        shares.append(difference if difference == 0 or scale == 0 else difference / scale)
    return max(shares)


def _largest(found: Tensor, expected: Tensor) -> float:
    """The largest absolute difference; equal infinities differ by nothing, what is no number infinitely."""
    if not found.numel():
        return 0.0
    one, other = found.double().cpu(), expected.double().cpu()
    difference = torch.where(one == other, 0.0, (one - other).abs())
    return difference.nan_to_num(torch.inf).max().item()


def _alike(found: Sequence[Tensor], expected: Sequence[Tensor]) -> None:
    if len(found) != len(expected):
        raise ValueError(f"it gives {len(found)} outputs, not {len(expected)}")
    for one, other in zip(found, expected, strict=True):
        if one.shape != other.shape:
            raise ValueError(f"it gives an output of {tuple(one.shape)}, not {tuple(other.shape)}")


@dataclass(frozen=True)
class Accuracy:
    """What quantisation did to the outputs on images that were held back from calibration.

    calibrated, held_back  numbers of images
    agreement    share of the images whose largest logit is the same; None for an output that is no vector of logits
    correlation  of all numbers of the outputs
    difference   the largest of an output, absolute
    """

    calibrated: int
    held_back: int
    agreement: float | None
    correlation: float
    difference: float

    def __str__(self) -> str:
        agreement = "" if self.agreement is None else f"the same class for {100 * self.agreement:.1f} %, "
        return (
            f"on {self.held_back} held-back images: {agreement}correlation {self.correlation:.5f}, "
            f"largest difference {self.difference:.3g}"
        )


def accuracy(found: Sequence[Sequence[Tensor]], expected: Sequence[Sequence[Tensor]], calibrated: int) -> Accuracy:
    """What quantisation did: outputs of each image, of the file and of the network."""
    same, count = 0, 0
    for one, other in zip(found, expected, strict=True):
        _alike(one, other)
        if len(other) == 1 and other[0].ndim == 2:
            same += int((one[0].argmax(1) == other[0].argmax(1)).sum())
            count += len(other[0])
    a = torch.cat([part.double().flatten() for one in found for part in one])
    b = torch.cat([part.double().flatten() for one in expected for part in one])
    correlation = 1.0 if torch.equal(a, b) else torch.corrcoef(torch.stack([a, b]))[0, 1].item()
    return Accuracy(calibrated, len(expected), same / count if count else None, correlation, (a - b).abs().max().item())
