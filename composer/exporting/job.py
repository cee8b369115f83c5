"""What a writer of a format is given."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor
from torch.export import ExportedProgram

from composer.exporting.sizes import Varying
from composer.exporting.subject import Subject

# What a file computes: output tensors of input tensors, both in the order of the network.
Runner = Callable[[Sequence[Tensor]], list[Tensor]]


@dataclass(frozen=True)
class Job:
    """What is written, and where.

    subject   the network
    program   its program, folded and quantised if that was asked for
    varying   the axes that may vary
    file      the file, in a folder of its own; files beside it belong to it
    fold_bn   norms are to be folded into the weights before them; in `program` they are
    int8      `program` is quantised
    """

    subject: Subject
    program: ExportedProgram
    varying: Varying
    file: Path
    fold_bn: bool = False
    int8: bool = False
