"""Random numbers of PyTorch's own generator, from a seed, without a trace."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch


@contextlib.contextmanager
def drawing(seed: int) -> Iterator[None]:
    """Within it, PyTorch's generator for the CPU begins with this seed; afterwards it goes on where it was.

    torchvision draws from no other generator.
    """
    generator = torch.default_generator
    state = generator.get_state()
    generator.manual_seed(seed)
    try:
        yield
    finally:
        generator.set_state(state)
