"""ONNX, written by torch.onnx and run by onnxruntime."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from composer.exporting.job import Job, Runner

# A file of protocol buffers holds less; weights beyond stand beside it, in NAME.onnx.data.
MAX_BYTES = 1_900_000_000


def write(job: Job) -> None:
    """Write the program as ONNX, with inputs and outputs named as in the spec."""
    program = torch.onnx.export(
        job.program,
        dynamo=True,
        input_names=list(job.subject.inputs),
        output_names=job.subject.output_names(),
        verbose=False,
    )
    assert program is not None
    size = sum(one.numel() * one.element_size() for one in job.program.state_dict.values())
    program.save(job.file, external_data=size > MAX_BYTES)


def load(job: Job) -> Runner:
    """The file in a session of onnxruntime on the CPU."""
    import onnxruntime  # type: ignore[import-untyped]

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(job.file, options, providers=["CPUExecutionProvider"])
    names = [one.name for one in session.get_inputs()]

    def run(tensors: Sequence[Tensor]) -> list[Tensor]:
        given = {name: one.numpy() for name, one in zip(names, tensors, strict=True)}
        return [torch.from_numpy(one) for one in session.run(None, given)]

    return run
