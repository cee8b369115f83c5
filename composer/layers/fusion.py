"""Maps of several scales into a single map."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from composer.layers.merge import same_layout
from composer.options import PositiveFloat, PositiveInt
from composer.registry import layer


def _fused_layout(inputs: Sequence[Any], *, num_inputs: int = 2, eps: float = 1e-4) -> str | None:
    if len(inputs) != num_inputs:
        raise ValueError(
            f"`weighted_sum` has a weight for each of {num_inputs} inputs, found {len(inputs)}; "
            f"set num_inputs to {len(inputs)}"
        )
    return same_layout("weighted_sum", inputs)


@layer("weighted_sum", kind="merge", layout=_fused_layout)
class WeightedSum(nn.Module):
    """The mean of tensors, each as heavy as its learnt weight.

    Shape:   ..., ... -> ...        shapes equal
    Math:    y = sum_i w_i x_i / (eps + sum_i w_i)        w = relu(weights)
    Params:  num_inputs, all 1 at the start
    Source:  Tan et al., EfficientDet, CVPR 2020, sec. 3.3: fast normalized fusion. arXiv:1911.09070

    >>> WeightedSum(num_inputs=2, eps=1.0)(torch.tensor([3.0]), torch.tensor([6.0]))
    tensor([3.], grad_fn=<AddBackward0>)
    """

    def __init__(self, *, num_inputs: PositiveInt = 2, eps: PositiveFloat = 1e-4):
        super().__init__()
        self.eps = eps
        self.weights = nn.Parameter(torch.ones(num_inputs))

    def forward(self, *inputs: Tensor) -> Tensor:
        weights = self.weights.relu()
        weights = weights / (weights.sum() + self.eps)
        y = weights[0] * inputs[0]
        for index, x in enumerate(inputs[1:], 1):
            y = y + weights[index] * x
        return y

    def extra_repr(self) -> str:
        return f"{self.weights.shape[0]}, eps={self.eps}"
