"""Statistics of what each node gives for some images."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from composer.compile.steps import evaluating, run_steps
from composer.dag.tensor import TensorSpec
from composer.draw.values import Values

if TYPE_CHECKING:
    from composer.compile.module import ComposedModule
    from composer.dag.scope import Node

# key, name, words, how it is written.
_MODES = (
    ("mean", "mean activation", "Mean of all values of the output", "number"),
    ("std", "deviation", "Standard deviation of all values of the output", "number"),
    ("zeros", "zeros", "Share of the output's values that are exactly 0", "share"),
    ("dead", "dead channels", "Share of the output's channels that are exactly 0 everywhere, in all images", "share"),
)


@dataclass
class _Tally:
    """Sums over all values of a node's output so far; which of its channels were nothing but 0."""

    count: int = 0
    sum: float = 0.0
    squares: float = 0.0
    zeros: int = 0
    silent: Tensor | None = None

    def add(self, value: Tensor, axis: int | None) -> None:
        numbers, is_zero = value.double(), value == 0
        self.count += value.numel()
        self.sum += float(numbers.sum())
        self.squares += float(numbers.square().sum())
        self.zeros += int(is_zero.sum())
        if axis is not None:
            silent = is_zero.movedim(axis, 0).flatten(1).all(1)
            self.silent = silent if self.silent is None else self.silent & silent

    def numbers(self) -> Mapping[str, float | None]:
        mean = self.sum / self.count
        return {
            "mean": mean,
            "std": max(0.0, self.squares / self.count - mean**2) ** 0.5,
            "zeros": self.zeros / self.count,
            "dead": None if self.silent is None else float(self.silent.double().mean()),
        }


def activations(model: ComposedModule, batches: Iterable[Tensor]) -> list[Values]:
    """Mean, standard deviation, share of zeros and share of dead channels of each node's output, by path.

    model    a composed network; runs in eval mode without gradients, and is then as it was
    batches  b c h w each, as the network takes them

    Over all images, channels and positions; the standard deviation is that of these values, not an estimate. A block
    has the numbers of its first output. Values are seen before a later operation overwrites them. No number of channels
    for outputs without a channel axis.
    """
    tallies: dict[str, _Tally] = {}

    def note(node: Node, value: Tensor) -> Tensor:
        if value.numel() and value.is_floating_point():
            tallies.setdefault(node.path, _Tally()).add(value, _channels(node, value))
        return value

    like = next(model.parameters(), torch.empty(0))
    with evaluating(model), torch.no_grad():
        for batch in batches:
            run_steps(model, batch.to(like), note)
    found = {path: tally.numbers() for path, tally in tallies.items()}
    return [
        Values(key, name, words, {path: one[key] for path, one in found.items()}, written)
        for key, name, words, written in _MODES
    ]


def _channels(node: Node, value: Tensor) -> int | None:
    """The axis of the channels of a node's output."""
    output = node.output if isinstance(node.output, TensorSpec) else next(iter(node.output.values()))
    axes = (output.layout or "").split()
    return axes.index("c") if "c" in axes and "b" in axes and len(axes) == value.ndim else None
