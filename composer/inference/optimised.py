"""What `for_inference` gives: the fast model, what each step did, and the way back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from composer.benchmark.interval import Ratio
from composer.inference.calls import Difference
from composer.lines import Part, plain, table

HEADS = ("step", "time", "difference", "kept", "note")


@dataclass(frozen=True)
class Step:
    """A step towards a faster model.

    name        `fold`, `channels_last`, the name of a dtype, `compile`; `all` for all that were kept
    ratio       of its times to those of the step before, run in turn; None if nothing was measured
    difference  of its outputs from those of the model that was given
    kept        whether it is part of the result
    note        what it did, in a sentence
    """

    name: str
    ratio: Ratio | None
    difference: Difference
    kept: bool
    note: str = ""

    def cells(self) -> list[str]:
        """The step as text."""
        time = "not measured" if self.ratio is None else str(self.ratio)
        return [self.name, time, str(self.difference), "yes" if self.kept else "no", self.note]

    def to_json(self) -> dict[str, Any]:
        """The step as plain JSON values."""
        ratio = self.ratio and {**vars(self.ratio), "difference_shown": self.ratio.shown}
        return {**vars(self), "ratio": ratio, "difference": vars(self.difference)}


@dataclass(frozen=True)
class Optimised:
    """A model made faster for inference. Call it as the model it was made of; `print` shows what each step gained.

    model     the fast model, in eval mode; it takes and gives what `original` does
    original  the model that was given. It was not changed
    steps     what was tried, in order, each against the step before
    whole     all that was kept, against the original in eval mode
    words     how it was measured, in a line
    left      path of every batch norm that was not folded -> why; empty without folding
    """

    model: nn.Module
    original: nn.Module = field(repr=False)
    steps: Sequence[Step]
    whole: Step
    words: str
    left: Mapping[str, str] = field(default_factory=dict)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """What the fast model gives, of the same shapes and dtypes as the original's outputs, in inference mode."""
        with torch.inference_mode():
            return self.model(*args, **kwargs)

    def undo(self) -> nn.Module:
        """The model that was given: the same object, bit for bit and in the mode that it had."""
        return self.original

    def __str__(self) -> str:
        cells = [[(Part(cell),) for cell in one.cells()] for one in (*self.steps, self.whole)]
        return f"{self.words}\n\n{plain(table(HEADS, cells, [False] * len(HEADS)))}"

    def to_json(self) -> dict[str, Any]:
        """All that was found, as plain JSON values."""
        steps = [one.to_json() for one in self.steps]
        return {"measured": self.words, "steps": steps, "whole": self.whole.to_json(), "left": dict(self.left)}
