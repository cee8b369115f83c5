"""The temperature of dynamic convolution over training, and what it makes of a softmax.

Chen et al., Dynamic Convolution: Attention over Convolution Kernels, CVPR 2020, sec. 3.3.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from composer import registry
from composer.annealing import anneal


def curve(epochs: int, options: Mapping[str, Any] | None = None, mechanism: str = "dynconv") -> list[float]:
    """What `composer.anneal` sets before each epoch, from the first on: the mechanism itself is asked.

    options    of the mechanism, as a spec writes them; its defaults unless given
    mechanism  one that stands in for a convolution and follows the epochs
    Raises ValueError for anything else.

    >>> curve(4, {"temperature": 7, "annealing_epochs": 2})
    [7.0, 4.0, 1.0, 1.0]
    """
    entry = registry.get_mechanism(mechanism)
    if entry is None or not entry.replaces or not callable(getattr(entry.factory, "anneal", None)):
        raise ValueError(f"`{mechanism}` is no mechanism that stands in for a convolution and follows the epochs")
    given = entry.options.model_validate(dict(options or {}))
    # The smallest convolution there is: it is never run, and its weights are not drawn from anyone's random numbers.
    facts = {name: 1 for name in ("in_channels", "out_channels") if name in entry.facts}
    with torch.random.fork_rng(devices=[]):
        module = entry.factory(**facts, **{name: getattr(given, name) for name in entry.options.model_fields})
    return [value for epoch in range(epochs) for value in anneal(module, epoch=epoch).values()]


def softmax_at(logits: Tensor, temperatures: Sequence[float]) -> Tensor:
    """What a softmax makes of logits n at each temperature: a row of n weights for each. Raises ValueError.

    >>> softmax_at(torch.tensor([0.0, 2.0]), [30.0, 1.0]).round(decimals=2)
    tensor([[0.4800, 0.5200],
            [0.1200, 0.8800]])
    """
    if not all(temperature > 0 for temperature in temperatures):
        raise ValueError(f"temperatures are positive, found {list(temperatures)}")
    precise = torch.promote_types(logits.dtype, torch.float32)
    scale = torch.tensor(temperatures, dtype=precise, device=logits.device)
    return (logits.to(precise) / scale[:, None]).softmax(1)
