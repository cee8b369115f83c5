"""LiteRT (TensorFlow Lite), converted by litert-torch and run by LiteRT's interpreter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

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
    inputs = sorted(runner.get_input_details().items(), key=_number)
    outputs = sorted(runner.get_output_details().items(), key=_number)

    def run(tensors: Sequence[Tensor]) -> list[Tensor]:
        given = {name: _quantised(one.numpy(), how) for (name, how), one in zip(inputs, tensors, strict=True)}
        results = runner(**given)
        return [torch.from_numpy(_dequantised(np.array(results[name]), how)) for name, how in outputs]

    return run


def _quantised(value: Any, details: Any) -> Any:
    """An input as the file takes it: quantised files take and give numbers of 8 bits."""
    kind = np.dtype(details["dtype"])
    scale, zero = details["quantization"]
    if kind.kind != "i" or not scale:
        return value
    limits = np.iinfo(kind)
    return np.clip(np.round(value / scale) + zero, limits.min, limits.max).astype(kind)


def _dequantised(value: Any, details: Any) -> Any:
    scale, zero = details["quantization"]
    return ((value.astype(np.float32) - zero) * scale).astype(np.float32) if scale else value


def _number(port: tuple[str, Any]) -> tuple[int, str]:
    """The number in `args_0` and `output_0`, by which they are in order."""
    name, _ = port
    digits = name.rpartition("_")[2]
    return int(digits) if digits.isdecimal() else -1, name
