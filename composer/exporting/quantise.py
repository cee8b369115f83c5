"""Quantises a recorded network to 8 bits with torchao's PT2E, calibrated on images."""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, fx

from composer.exporting.format import Format
from composer.exporting.subject import Subject


def quantised(
    subject: Subject, module: fx.GraphModule, format: Format, images: Iterable[list[Tensor]]
) -> fx.GraphModule:
    """The network with weights and activations of 8 bits, as the quantizer of the format does it.

    module  what was recorded of the network; it is changed
    images  what the network is called with, for each image that calibrates it
    """
    pt2e = importlib.import_module("torchao.quantization.pt2e.quantize_pt2e")
    prepared = pt2e.prepare_pt2e(module, _quantizer(format))
    with torch.no_grad():
        for tensors in images:
            called = subject.with_tensors(tensors)
            prepared(*called.args, **called.kwargs)
    # LiteRT quantises the weights itself.
    found: fx.GraphModule = pt2e.convert_pt2e(prepared, fold_quantize=format.name != "litert")
    return found


def _quantizer(format: Format) -> Any:
    if format.name == "executorch":
        xnnpack = importlib.import_module("executorch.backends.xnnpack.quantizer.xnnpack_quantizer")
        return xnnpack.XNNPACKQuantizer().set_global(xnnpack.get_symmetric_quantization_config(is_per_channel=True))
    if format.name == "litert":
        litert = importlib.import_module("litert_torch.quantize.pt2e_quantizer")
        return litert.PT2EQuantizer().set_global(litert.get_symmetric_quantization_config(is_per_channel=True))
    x86 = importlib.import_module("torchao.quantization.pt2e.quantizer.x86_inductor_quantizer")
    return x86.X86InductorQuantizer().set_global(x86.get_default_x86_inductor_quantization_config())
