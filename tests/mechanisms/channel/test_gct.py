import pytest
import torch
from mechanisms.oracle import SIZES, agree
from torch import nn

import composer
from composer.mechanisms.channel.gct import GatedChannelTransformation


class Authors(nn.Module):
    """GCT.py of z-x-yang/GCT, written again."""

    def __init__(self, channels, norm):
        super().__init__()
        self.norm = norm
        for name in ("alpha", "gamma", "beta"):
            setattr(self, name, nn.Parameter(torch.ones(1, channels, 1, 1)))

    def forward(self, x):
        if self.norm == "l2":
            embedding = ((x**2).sum((2, 3), keepdim=True) + 1e-5) ** 0.5 * self.alpha
            scale = self.gamma / ((embedding**2).mean(1, keepdim=True) + 1e-5) ** 0.5
        else:
            embedding = x.abs().sum((2, 3), keepdim=True) * self.alpha
            scale = self.gamma / (embedding.abs().mean(1, keepdim=True) + 1e-5)
        return x * (1 + torch.tanh(embedding * scale + self.beta))


@pytest.mark.parametrize("norm", ["l2", "l1"])
@pytest.mark.parametrize("size", SIZES)
def test_equals_the_authors(size, norm):
    agree(GatedChannelTransformation(8, norm=norm), Authors(8, norm), torch.randn(2, 8, *size))


def test_starts_as_the_identity():
    x = torch.randn(2, 8, 5, 5)
    assert torch.equal(GatedChannelTransformation(8)(x), x)


def test_by_hand():
    """Norms 3 and 4 beside their root mean square, sqrt(12.5)."""
    module = GatedChannelTransformation(2).double()
    nn.init.ones_(module.gamma)
    x = torch.tensor([3.0, 4.0], dtype=torch.float64).reshape(1, 2, 1, 1)
    expected = x * (1 + (x / 12.5**0.5).tanh())
    torch.testing.assert_close(module(x), expected, rtol=1e-5, atol=0)


@pytest.mark.parametrize("norm", ["l2", "l1"])
@pytest.mark.parametrize("x", [torch.randn(1, 8, 1, 1), torch.zeros(1, 8, 7, 7)])
def test_small_and_empty_maps_are_finite(x, norm):
    module = GatedChannelTransformation(8, norm=norm)
    nn.init.normal_(module.gamma)
    x = x.requires_grad_()
    y = module(x)
    y.sum().backward()
    assert y.isfinite().all()
    assert x.grad.isfinite().all()


@pytest.mark.parametrize("backbone", ["resnet18", "vit_tiny_patch16_224", "swin_tiny_patch4_window7_224"])
def test_after_every_block(backbone):
    spec = {"backbone": backbone, "attention": [{"use": "gct", "after": "block"}]}
    if backbone == "resnet18":
        network = composer.build({**spec, "input": [3, 64, 64]}).eval()
        x = torch.randn(2, 3, 64, 64)
        plain = composer.build({"backbone": "resnet18", "input": [3, 64, 64]}).eval()
        network.load_state_dict(plain.state_dict(), strict=False)
        assert torch.equal(network(x), plain(x))
    else:
        assert composer.graph(spec).num_parameters > composer.graph(backbone).num_parameters
