import pytest
import torch
from mechanisms.oracle import SIZES, agree
from torch import nn

import composer
from composer.mechanisms.channel.srm import StyleRecalibration


class Authors(nn.Module):
    """SRMLayer of hyunjaelee410/style-based-recalibration-module, written again."""

    def __init__(self, channels):
        super().__init__()
        self.cfc = nn.Parameter(torch.zeros(channels, 2))
        self.bn = nn.BatchNorm2d(channels)

    def forward(self, x):
        flat = x.flatten(2)
        styles = torch.stack([flat.mean(2), (flat.var(2) + 1e-5).sqrt()], 2)
        return x * self.bn((styles * self.cfc).sum(2)[:, :, None, None]).sigmoid()


@pytest.mark.parametrize("size", SIZES)
def test_equals_the_authors(size):
    agree(StyleRecalibration(8), Authors(8), torch.randn(4, 8, *size))


def test_by_hand():
    """0 and 2: mean 1, deviation sqrt(2); without a norm the logit is 1 + sqrt(2)."""
    module = StyleRecalibration(1, norm="none").double()
    nn.init.ones_(module.cfc)
    x = torch.tensor([0.0, 2.0], dtype=torch.float64).reshape(1, 1, 1, 2)
    torch.testing.assert_close(module(x), x * torch.tensor(1 + (2 + 1e-5) ** 0.5, dtype=torch.float64).sigmoid())


@pytest.mark.parametrize(("norm", "batch"), [("batch", 2), ("layer", 1), ("none", 1)])
@pytest.mark.parametrize("size", [(1, 1), (7, 7)])
def test_trains_on_small_maps(size, norm, batch):
    module = StyleRecalibration(8, norm=norm).train()
    nn.init.normal_(module.cfc)
    x = torch.randn(batch, 8, *size, requires_grad=True)
    y = module(x)
    y.sum().backward()
    assert y.isfinite().all()
    assert x.grad.isfinite().all()


def test_starts_at_a_half():
    x = torch.randn(2, 8, 5, 5)
    assert torch.equal(StyleRecalibration(8)(x), x / 2)


@pytest.mark.parametrize(("norm", "count"), [("batch", 256), ("none", 128)])
def test_parameters(norm, count):
    assert sum(p.numel() for p in StyleRecalibration(64, norm=norm).parameters()) == count


def test_in_resnet50():
    """60,416 more: four numbers for each of 15,104 channels."""
    rule = {"use": "srm", "after": "branch", "expect": 16}
    assert composer.graph({"backbone": "resnet50", "attention": [rule]}).num_parameters == 25_557_032 + 4 * 15_104


@pytest.mark.parametrize("backbone", ["resnet18", "vit_tiny_patch16_224", "swin_tiny_patch4_window7_224"])
def test_after_every_block(backbone):
    spec = {"backbone": backbone, "attention": [{"use": "srm", "after": "block"}]}
    if backbone == "resnet18":
        network = composer.build({**spec, "input": [3, 32, 32]}).train()
        network(torch.randn(2, 3, 32, 32)).sum().backward()
        assert all(one.grad.isfinite().all() for one in network.parameters())
    else:
        assert composer.graph(spec).num_parameters > composer.graph(backbone).num_parameters
