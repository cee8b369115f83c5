import math

import pytest
import torch
from mechanisms.oracle import SIZES, agree
from torch import nn

import composer
from composer import registry
from composer.mechanisms.channel.gct_gaussian import GaussianContextTransformer


class Paper(nn.Module):
    """The equations, a sample at a time."""

    def __init__(self, sigma):
        super().__init__()
        self.sigma = sigma

    def forward(self, x):
        outputs = []
        for sample in x:
            z = torch.stack([channel.mean() for channel in sample])
            n = (z - z.mean()) / (((z - z.mean()) ** 2).mean() + 1e-5) ** 0.5
            outputs.append(sample * torch.exp(-(n**2) / (2 * self.sigma**2))[:, None, None])
        return torch.stack(outputs)


class Copy(nn.Module):
    """gct.py of changzy00/pytorch-attention, written again; its Gaussian is narrower than the paper's."""

    def forward(self, x):
        y = nn.functional.adaptive_avg_pool2d(x, 1)
        mean = y.mean(1, keepdim=True)
        y = (y - mean) / torch.sqrt((y**2).mean(1, keepdim=True) - mean**2 + 1e-5)
        return x * torch.exp(-(y**2 / 2 * 2))


@pytest.mark.parametrize("size", SIZES)
def test_equals_the_equations(size):
    agree(GaussianContextTransformer(), Paper(2.0), torch.randn(2, 8, *size))


# The copy's variance is a difference of squares, which loses digits.
@pytest.mark.parametrize("size", SIZES)
def test_equals_the_copy_with_another_sigma(size):
    agree(GaussianContextTransformer(sigma=math.sqrt(0.5)), Copy(), torch.randn(2, 8, *size), tolerance=1e-8)


@pytest.mark.parametrize("shape", [(1, 8, 1, 1), (1, 1, 7, 7)])
def test_small_maps_are_finite(shape):
    x = torch.randn(shape, requires_grad=True)
    y = GaussianContextTransformer()(x)
    y.sum().backward()
    assert y.isfinite().all()
    assert x.grad.isfinite().all()
    if shape[1] == 1:
        assert torch.equal(y, x)


def test_two_mechanisms_share_the_short_name():
    assert registry.get("gct").factory is not registry.get("gct_gaussian").factory
    assert "gct" in registry.get("gct_gaussian").aliases


@pytest.mark.parametrize("backbone", ["resnet18", "vit_tiny_patch16_224", "swin_tiny_patch4_window7_224"])
def test_after_every_block(backbone):
    spec = {"backbone": backbone, "attention": [{"use": "gct_gaussian", "after": "block"}]}
    if backbone == "resnet18":
        network = composer.build({**spec, "input": [3, 32, 32]}).eval()
        assert network(torch.randn(2, 3, 32, 32)).isfinite().all()
    else:
        graph = composer.graph(spec)
        assert len(graph.added[0].places) == 12
        assert graph.num_parameters == composer.graph(backbone).num_parameters
