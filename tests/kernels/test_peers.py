"""The modules that kernels are measured beside compute what the mechanisms compute."""

from __future__ import annotations

import pytest
import torch

from tests.benchmarks.mechanisms import ours
from tests.benchmarks.peers import PEERS


@pytest.mark.parametrize("name", PEERS)
def test_peers_have_as_many_parameters_and_the_same_output_shape(name: str) -> None:
    peers = PEERS[name]
    channels, side = 64, 14
    x = torch.randn(2, side**2, channels) if peers.tokens else torch.randn(2, channels, side, side)
    mine = ours(name, dict(peers.options), channels, side, side)
    for library, make in peers.by.items():
        theirs = make(channels, side, side)
        # torchvision's Swin V2 has a bias of the keys, which it sets to zero.
        unused = channels if (name, library) == ("window_v2", "torchvision") else 0
        assert sum(p.numel() for p in theirs.parameters()) == sum(p.numel() for p in mine.parameters()) + unused
        assert theirs(x).shape == mine(x).shape
