"""The modules that kernels are measured beside compute what the mechanisms compute."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from tests.benchmarks.mechanisms import ours, transplant
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


def in_precision(module: nn.Module, x: Tensor, g: Tensor, dtype: torch.dtype) -> list[Tensor]:
    """Output, gradient of the input and of every weight, computed in a precision and given in float64."""
    module, x = copy.deepcopy(module).to(dtype), x.detach().to(dtype, copy=True).requires_grad_()
    y = module(x)
    y.backward(g.to(dtype))
    return [one.detach().double() for one in (y, x.grad, *(p.grad for p in module.parameters())) if one is not None]


@pytest.mark.parametrize("name", ["window", "halo", "cga"])
def test_attention_in_bfloat16_is_as_near_to_float64_as_timms(name: str) -> None:
    channels, side = 128, 14
    options, generator = dict(PEERS[name].options), torch.Generator().manual_seed(0)
    mine, theirs = ours(name, options, channels, side, side), PEERS[name].by["timm"](channels, side, side)
    for one in theirs.modules():
        if isinstance(one, nn.BatchNorm2d):
            # EfficientViT's last norm starts at zero.
            nn.init.ones_(one.weight)
    transplant(mine, theirs)
    x, g = (torch.randn(4, channels, side, side, generator=generator, dtype=torch.float64) for _ in range(2))

    def errors(module: nn.Module) -> list[float]:
        pairs = zip(in_precision(module, x, g, torch.bfloat16), in_precision(module, x, g, torch.float64), strict=True)
        return [float((found - exact).norm() / exact.norm().clamp_min(1e-6)) for found, exact in pairs]

    own, others = errors(mine), errors(theirs)
    assert max(own[:2]) < 0.1
    assert sum(own) <= 1.1 * sum(others)
    assert own[0] <= 1.1 * others[0]
