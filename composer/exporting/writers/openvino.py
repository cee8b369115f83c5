"""OpenVINO's intermediate representation: NAME.xml, and its weights in NAME.bin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from composer.exporting.job import Job, Runner
from composer.exporting.writers import onnx


def write(job: Job) -> None:
    """Convert the program, name its inputs and outputs as in the spec, and write it in single precision."""
    import openvino

    source: Any = job.program
    if job.int8:
        # OpenVINO reads numbers of 8 bits in ONNX, and not in a program of PyTorch.
        source = job.file.with_suffix(".onnx")
        onnx.write(replace(job, file=source))
    model = openvino.convert_model(source)
    shapes = {}
    every = zip(model.inputs, job.subject.inputs, job.subject.tensors, job.subject.axes, strict=True)
    for port, name, tensor, axes in every:
        port.get_tensor().set_names({name})
        lengths = [-1 if axes.get(at) in job.varying.axes else length for at, length in enumerate(tensor.shape)]
        shapes[port] = openvino.PartialShape(lengths)
    # The conversion lets every axis vary.
    model.reshape(shapes)
    for port, name in zip(model.outputs, job.subject.output_names(), strict=True):
        port.get_tensor().set_names({name})
    openvino.save_model(model, job.file, compress_to_fp16=False)
    if job.int8:
        source.unlink()


def load(job: Job) -> Runner:
    """The file, compiled for the CPU in single precision."""
    import openvino

    compiled = openvino.Core().compile_model(job.file, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})

    def run(tensors: Sequence[Tensor]) -> list[Tensor]:
        results = compiled([one.numpy() for one in tensors])
        return [torch.from_numpy(results[port].copy()) for port in compiled.outputs]

    return run
