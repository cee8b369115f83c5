"""How papers count: multiply-accumulates of convolutions and matrices, and what else their counters take for one."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

import composer
from composer.spec.spec import Spec

NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.LayerNorm, nn.GroupNorm)
RELUS = (nn.ReLU, nn.ReLU6)
POOLINGS = (nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d)
# How often the authors' gates pool their input by a module, which these counters see; here it is a mean.
POOLED = {"se": 1, "sge": 1, "cbam": 2}


def macs(spec: Spec, counter: str | None) -> int:
    """Multiply-accumulates of a network by `published.counter`; None counts convolutions and matrices alone."""
    graph = composer.graph(spec)
    if counter is None:
        return graph.num_macs
    found = {"norms": 0, "relus": 0, "pooled": 0}
    with torch.device("meta"):
        model = composer.build(spec).eval()
    for module in model.modules():
        module.register_forward_hook(_count(found))
    (shape,) = (one.shape for one in spec.inputs.values())
    model(torch.empty(1, *shape, device="meta"))
    for node, _ in graph.operations:
        found["pooled"] += POOLED.get(node.content.entry.name, 0) * math.prod(node.tensor.without_batch)
    more = 2 * found["norms"] + (found["relus"] + found["pooled"] if counter == "ptflops" else 0)
    return graph.num_macs + more


def _count(found: dict[str, int]) -> Callable[[nn.Module, tuple[Tensor, ...], Any], None]:
    def hook(module: nn.Module, inputs: tuple[Tensor, ...], output: Any) -> None:
        if isinstance(module, NORMS):
            found["norms"] += output.numel()
        elif isinstance(module, RELUS):
            found["relus"] += output.numel()
        elif isinstance(module, POOLINGS) or type(module).__name__ == "GlobalAvgPool2d":
            found["pooled"] += inputs[0].numel()

    return hook
