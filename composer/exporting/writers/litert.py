"""LiteRT (TensorFlow Lite), converted by litert-torch and run by LiteRT's interpreter."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from composer.exporting.job import Job, Runner


def write(job: Job) -> None:
    """Convert the program and write it."""
    import litert_torch

    settings = {}
    if job.int8:
        from litert_torch.quantize.pt2e_quantizer import PT2EQuantizer, get_symmetric_quantization_config
        from litert_torch.quantize.quant_config import QuantConfig

        quantizer = PT2EQuantizer().set_global(get_symmetric_quantization_config())
        settings["quant_config"] = QuantConfig(pt2e_quantizer=quantizer)
    subject = job.subject
    model = litert_torch.convert(job.program.module(), subject.args, dict(subject.kwargs), **settings)
    model.export(str(job.file))


def load(job: Job) -> Runner:
    """The file in LiteRT's interpreter."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(job.file))
    interpreter.allocate_tensors()
    runner = interpreter.get_signature_runner()
    inputs = sorted(runner.get_input_details(), key=_number)
    outputs = sorted(runner.get_output_details(), key=_number)

    def run(tensors: Sequence[Tensor]) -> list[Tensor]:
        results = runner(**{name: one.numpy() for name, one in zip(inputs, tensors, strict=True)})
        return [torch.from_numpy(np.array(results[name])) for name in outputs]

    return run


def _number(name: str) -> tuple[int, str]:
    """The number in `args_0` and `output_0`, by which they are in order."""
    digits = name.rpartition("_")[2]
    return int(digits) if digits.isdecimal() else -1, name
