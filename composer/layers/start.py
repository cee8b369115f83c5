"""How an attention starts from doing nothing (`start: identity`)."""

from __future__ import annotations

from torch import Tensor

from composer.registry import layer


@layer("blend", kind="merge")
def blend(host: Tensor, changed: Tensor, gamma: Tensor) -> Tensor:
    """host + gamma * (changed - host): the host alone at gamma = 0, the changed one alone at gamma = 1.

    Shape:   ..., ..., 1 -> ...

    >>> import torch
    >>> blend(torch.tensor([2.0]), torch.tensor([4.0]), torch.tensor([0.5]))
    tensor([3.])
    """
    return host + gamma * (changed - host)
