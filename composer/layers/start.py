"""The blend with which an attention starts as the identity (`start: identity`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from composer.registry import layer


def _blend_code(names: list[str], inputs: Sequence[Any]) -> str:
    host, changed, gamma = names
    return f"{host} + {gamma} * ({changed} - {host})"


@layer("blend", kind="merge", code=_blend_code)
def blend(host: Tensor, changed: Tensor, gamma: Tensor) -> Tensor:
    """host + gamma * (changed - host): `host` at gamma = 0, `changed` at gamma = 1.

    Shape:   ..., ..., 1 -> ...

    >>> import torch
    >>> blend(torch.tensor([2.0]), torch.tensor([4.0]), torch.tensor([0.5]))
    tensor([3.])
    """
    return host + gamma * (changed - host)
