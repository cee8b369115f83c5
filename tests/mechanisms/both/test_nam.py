import pytest
import torch
from mechanisms.oracle import SIZES, agree
from torch import nn

import composer
from composer.mechanisms.both.nam import NormalizationAttention


class Authors(nn.Module):
    """Channel_Att of Christian-lyc/NAM, written again; `cut` takes the shares out of the gradient, as there."""

    def __init__(self, channels, cut):
        super().__init__()
        self.bn = nn.BatchNorm2d(channels)
        self.cut = cut

    def forward(self, x):
        scale = self.bn.weight.detach() if self.cut else self.bn.weight
        shares = scale.abs() / scale.abs().sum()
        y = (self.bn(x).permute(0, 2, 3, 1) * shares).permute(0, 3, 1, 2)
        return x * y.sigmoid()


@pytest.mark.parametrize("size", SIZES)
def test_equals_the_equations(size):
    agree(NormalizationAttention(8), Authors(8, cut=False), torch.randn(2, 8, *size))


def test_outputs_are_the_authors():
    """Only the gradient of the scale differs."""
    ours, theirs, x = NormalizationAttention(8), Authors(8, cut=True), torch.randn(2, 8, 5, 5)
    nn.init.normal_(ours.bn.weight)
    theirs.load_state_dict(ours.state_dict())
    torch.testing.assert_close(ours(x), theirs(x))
    for one in (ours, theirs):
        (one(x) * x).sum().backward()
    assert (ours.bn.weight.grad - theirs.bn.weight.grad).abs().max() > 1e-3


def test_gates_are_near_a_half_at_many_channels():
    """What the page says."""
    gates = NormalizationAttention(256).train().attention(torch.randn(8, 256, 14, 14))
    assert gates.min() > 0.494
    assert gates.max() < 0.506


def test_scales_of_zero_are_finite():
    module, x = NormalizationAttention(8), torch.randn(2, 8, 5, 5, requires_grad=True)
    nn.init.zeros_(module.bn.weight)
    y = module(x)
    y.sum().backward()
    assert y.isfinite().all()
    assert x.grad.isfinite().all()


@pytest.mark.parametrize("backbone", ["resnet18", "vit_tiny_patch16_224", "swin_tiny_patch4_window7_224"])
def test_after_every_block(backbone):
    spec = {"backbone": backbone, "attention": [{"use": "nam", "after": "block"}]}
    if backbone == "resnet18":
        network = composer.build({**spec, "input": [3, 64, 64]}).eval()
        assert network(torch.randn(2, 3, 64, 64)).isfinite().all()
    else:
        assert composer.graph(spec).num_parameters > composer.graph(backbone).num_parameters
