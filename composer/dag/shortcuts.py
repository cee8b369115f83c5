"""Operations whose result on the meta device is shaped like their first tensor, and that PyTorch takes long to tell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

_SAME_SHAPE = frozenset(
    (
        *(F.relu, F.relu6, F.hardtanh, F.leaky_relu, F.silu, F.gelu, F.hardswish, F.hardsigmoid),
        *(torch.relu, torch.sigmoid, Tensor.sigmoid, Tensor.normal_, Tensor.uniform_),
    )
)


class Shortcuts(TorchFunctionMode):
    """Answers for such operations within it: activations, batch norm, and filling with random numbers.

    Their meta kernels are Python that takes milliseconds, most of what composing a graph would take.
    """

    def __torch_function__(
        self, func: Any, types: Sequence[Any], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        given = kwargs or {}
        if args and (func in _SAME_SHAPE or (func is F.batch_norm and _fits(*args, *given.values()))):
            first = args[0]
            if first.is_meta and first.dtype.is_floating_point:
                return first
        return func(*args, **given)


def _fits(x: Tensor, *others: Any) -> bool:
    """Whether batch norm has nothing to refuse; where it has, its own words are wanted."""
    tensors = (one for one in others if isinstance(one, Tensor))
    return x.ndim > 1 and x.numel() > x.shape[1] and all(one.shape == x.shape[1:2] for one in tensors)
