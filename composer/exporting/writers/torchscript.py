"""TorchScript, traced, for engines that still read it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from composer.exporting.job import Job, Runner
from composer.exporting.subject import Subject


class _Flat(nn.Module):
    """A network that takes tensors one by one, and gives one tensor or a tuple of them."""

    def __init__(self, subject: Subject) -> None:
        super().__init__()
        self.network = subject.module
        self.subject = subject

    def forward(self, *tensors: Tensor) -> Any:
        called = self.subject.with_tensors(tensors)
        found = self.subject.flat(self.network(*called.args, **called.kwargs))
        return found[0] if len(found) == 1 else tuple(found)


class _Guarded(torch.jit.ScriptModule):
    """A trace, to which `define` adds a forward that checks sizes."""

    def __init__(self, traced: Any) -> None:
        super().__init__()
        self.network = traced


def write(job: Job) -> None:
    """Trace the network and write the trace; it refuses other sizes if they may not vary."""
    subject = job.subject
    with torch.no_grad():
        traced = torch.jit.trace(_Flat(subject), tuple(subject.tensors), check_trace=False)
        guarded = _guarded(traced, job)
        if job.fold_bn:
            guarded = torch.jit.freeze(guarded.eval())
    torch.jit.save(guarded, job.file)


def _guarded(traced: Any, job: Job) -> Any:
    """The trace, which raises an error for lengths of axes that it holds as constants."""
    checks = []
    names = [f"x{number}" for number in range(len(job.subject.tensors))]
    for name, tensor, axes in zip(names, job.subject.tensors, job.subject.axes, strict=True):
        for at, length in enumerate(tensor.shape):
            if axes.get(at) not in job.varying.axes:
                text = f"axis {at} of the input has to be {length}"
                checks.append(f'    assert {name}.size({at}) == {length}, "{text}"')
    module = _Guarded(traced)
    arguments = ", ".join(f"{name}: Tensor" for name in names)
    lines = [f"def forward(self, {arguments}):", *checks, f"    return self.network({', '.join(names)})"]
    module.define("\n".join([*lines, ""]))
    return module.eval()


def load(job: Job) -> Runner:
    """The file as torch.jit.load reads it."""
    module = torch.jit.load(job.file)

    def run(tensors: Sequence[Tensor]) -> list[Tensor]:
        with torch.no_grad():
            return job.subject.flat(module(*tensors))

    return run
