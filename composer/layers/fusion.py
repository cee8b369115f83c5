"""Maps of several scales into a single map."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from composer.layers.merge import same_layout
from composer.options import PositiveFloat, PositiveInt
from composer.registry import layer

Form = Literal["fast", "softmax", "sum"]


def _fused_layout(inputs: Sequence[Any], *, num_inputs: int = 2, form: Form = "fast", eps: float = 1e-4) -> str | None:
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
             at form softmax: y = sum_i softmax(weights)_i x_i;  at form sum: y = sum_i x_i
    Params:  num_inputs, all 1 at the start;  0 at form sum
    Source:  Tan et al., EfficientDet, CVPR 2020, sec. 3.3: fast normalized fusion, softmax-based fusion, and the sum
             that both are compared with. arXiv:1911.09070

    Nothing is resized. EfficientDet brings its maps to one size before: the coarser by the nearest neighbour
    (`upsample`), the finer by a max pooling of 3 × 3 and stride 2 (`max_pool`). `eps` is of `form: fast`.

    >>> WeightedSum(num_inputs=2, eps=1.0)(torch.tensor([3.0]), torch.tensor([6.0]))
    tensor([3.], grad_fn=<AddBackward0>)
    """

    def __init__(self, *, num_inputs: PositiveInt = 2, form: Form = "fast", eps: PositiveFloat = 1e-4):
        super().__init__()
        self.eps, self.form = eps, form
        self.weights = nn.Parameter(torch.ones(num_inputs)) if form != "sum" else None

    def _shares(self, weights: Tensor) -> Tensor:
        if self.form == "softmax":
            return weights.softmax(0)
        weights = weights.relu()
        return weights / (weights.sum() + self.eps)

    def forward(self, *inputs: Tensor) -> Tensor:
        if self.weights is None:
            return sum(inputs[1:], inputs[0])
        shares = self._shares(self.weights)
        y = shares[0] * inputs[0]
        for index, x in enumerate(inputs[1:], 1):
            y = y + shares[index] * x
        return y

    def extra_repr(self) -> str:
        count = "" if self.weights is None else f"{self.weights.shape[0]}, "
        return f"{count}form={self.form}, eps={self.eps}"
