"""PyTorch's own format of exported programs."""

from __future__ import annotations

import io
from collections.abc import Sequence

import torch
from torch import Tensor

from composer.exporting.job import Job, Runner


def write(job: Job) -> None:
    """Write the program with torch.export.save."""
    content = io.BytesIO()
    torch.export.save(job.program, content)
    job.file.write_bytes(content.getvalue())


def load(job: Job) -> Runner:
    """The program as torch.export.load reads it."""
    module = torch.export.load(job.file).module()
    subject = job.subject

    def run(tensors: Sequence[Tensor]) -> list[Tensor]:
        called = subject.with_tensors(tensors)
        with torch.no_grad():
            return subject.flat(module(*called.args, **called.kwargs))

    return run
