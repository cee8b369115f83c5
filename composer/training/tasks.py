"""What a network learns from targets: the loss, how outputs are counted, and which number says that one is better."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional

from composer.spec.recipe import Recipe

Kind = Literal["classes", "labels", "values", "map"]
# Pixels of a mask that belong to no class.
IGNORED = 255


@dataclass(frozen=True)
class Task:
    """A kind of learning.

    kind     one class for an image, labels, values, or a map of classes
    outputs  the number of classes, labels or values
    """

    kind: Kind
    outputs: int

    @property
    def metric(self) -> str:
        """The name of the number by which epochs are compared."""
        return {"classes": "top1", "labels": "mAP", "values": "mean absolute error", "map": "mIoU"}[self.kind]

    @property
    def ascends(self) -> bool:
        """Whether a larger number is a better one."""
        return self.kind != "values"

    def is_better(self, value: float, than: float | None) -> bool:
        """Whether a value is strictly better; than nothing, any number is."""
        return value == value and (than is None or (value > than if self.ascends else value < than))

    def loss_name(self, recipe: Recipe) -> str:
        """The loss that a recipe means."""
        usual = {"classes": "cross_entropy", "labels": "bce", "values": "mse", "map": "cross_entropy"}
        return recipe.loss or usual[self.kind]

    def loss(self, output: Tensor, target: Tensor, recipe: Recipe, *, training: bool = True) -> Tensor:
        """The mean loss of a batch.

        output   scores b c, or b c h w for a map
        target   classes b, shares of classes b c, labels b c, values b c, or a map of classes b h w
        recipe   names the loss and the smoothing
        training  without it there is no smoothing
        """
        smoothing = recipe.label_smoothing if training else 0.0
        name = self.loss_name(recipe)
        if self.kind == "map":
            output = resized(output, target)
            return functional.cross_entropy(output, target, ignore_index=IGNORED, label_smoothing=smoothing)
        if name == "cross_entropy":
            return functional.cross_entropy(output, target, label_smoothing=smoothing)
        target = self._dense(target, output)
        if name == "bce":
            if self.kind == "classes" and smoothing:
                target = target * (1 - smoothing) + smoothing / self.outputs
            return functional.binary_cross_entropy_with_logits(output, target)
        return functional.mse_loss(output, target) if name == "mse" else functional.l1_loss(output, target)

    def _dense(self, target: Tensor, output: Tensor) -> Tensor:
        if self.kind == "classes" and target.ndim == 1:
            return functional.one_hot(target, self.outputs).to(output.dtype)
        return target.to(output.dtype)

    def counter(self, *, alone: bool = False) -> Any:
        """A metric of torchmetrics, for outputs and targets batch by batch; `alone`: of this process only."""
        from torchmetrics import classification, regression

        own: dict[str, Any] = {"sync_on_compute": not alone}
        checked = {**own, "validate_args": False}
        match self.kind:
            case "classes":
                return classification.MulticlassAccuracy(self.outputs, average="micro", **checked)
            case "labels":
                return classification.MultilabelAveragePrecision(self.outputs, average="none", **checked)
            case "values":
                return regression.MeanAbsoluteError(**own)
        return classification.MulticlassJaccardIndex(self.outputs, ignore_index=IGNORED, **checked)

    def count(self, counter: Any, output: Tensor, target: Tensor) -> None:
        """Let a metric see a batch of outputs and targets."""
        if self.kind == "map":
            counter.update(resized(output, target).argmax(1), target)
        elif self.kind == "labels":
            counter.update(output.sigmoid(), target.long())
        else:
            counter.update(output.contiguous(), target.to(output.dtype) if self.kind == "values" else target)

    def value(self, counter: Any) -> float:
        """The number that a metric has counted; of labels the mean over those that an image has."""
        if self.kind != "labels":
            return float(counter.compute())
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="No positive samples found")
            found = counter.compute()
        # Of a label that an image has, the precision is above 0, however late it comes.
        return float(found[found > 0].mean())

    def rows(self, output: Tensor, target: Tensor) -> list[dict[str, Any]]:
        """What is kept of each image of a test: its prediction, target, and whether or how much they differ."""
        match self.kind:
            case "classes":
                guess = output.argmax(1)
                losses = functional.cross_entropy(output, target, reduction="none")
                sure = output.softmax(1).amax(1)
                columns = zip(target.tolist(), guess.tolist(), sure.tolist(), losses.tolist(), strict=True)
                names = ("target", "prediction", "probability", "loss")
                return [{**dict(zip(names, row, strict=True)), "correct": int(row[0] == row[1])} for row in columns]
            case "labels":
                wrong = ((output > 0) != target.bool()).float().mean(1)
                return [{"wrong_labels": one} for one in wrong.tolist()]
            case "values":
                return [{"absolute_error": one} for one in (output - target).abs().flatten(1).mean(1).tolist()]
        guess = resized(output, target).argmax(1)
        known = target != IGNORED
        right = ((guess == target) & known).flatten(1).sum(1) / known.flatten(1).sum(1).clamp(min=1)
        return [{"correct_pixels": one} for one in right.tolist()]


def full(output: Tensor) -> Tensor:
    """Scores in 32 bits at least: losses of halves lose too much."""
    return output if output.dtype == torch.float64 else output.float()


def resized(output: Tensor, target: Tensor) -> Tensor:
    """Scores b c h w, at the size of a mask b h w."""
    if output.shape[2:] == target.shape[1:]:
        return output
    return functional.interpolate(output, target.shape[1:], mode="bilinear", align_corners=False)


def wilson(correct: int, of: int, z: float = 1.959963984540054) -> tuple[float, float]:
    """The 95 % interval of a share, by Wilson's score.

    correct, of  how many of how many
    z            quantile of the normal distribution
    Source: Wilson, "Probable inference", Journal of the American Statistical Association 22, 1927

    >>> [round(one, 3) for one in wilson(8, 10)]
    [0.49, 0.943]
    """
    share, square = correct / of, z * z
    middle = (share + square / (2 * of)) / (1 + square / of)
    half = z / (1 + square / of) * (share * (1 - share) / of + square / (4 * of * of)) ** 0.5
    return middle - half, middle + half


def interval(values: Tensor, draws: int = 2000) -> tuple[float, float]:
    """The 95 % interval of a mean over images, by the bootstrap, drawn with a seed of its own.

    values  one for each image
    """
    generator = torch.Generator().manual_seed(0)
    means = [values[torch.randint(len(values), (len(values),), generator=generator)].mean() for _ in range(draws)]
    low, high = torch.stack(means).quantile(torch.tensor([0.025, 0.975], dtype=values.dtype)).tolist()
    return low, high
