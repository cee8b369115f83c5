import math

import pytest
import torch
from mechanisms.oracle import SIZES, agree
from torch import nn

import composer
from composer.mechanisms.both.sge import SpatialGroupEnhance


class Authors(nn.Module):
    """SpatialGroupEnhance of implus/PytorchInsight, written again, a group at a time."""

    def __init__(self, groups):
        super().__init__()
        self.groups = groups
        self.weight = nn.Parameter(torch.zeros(1, groups, 1, 1))
        self.bias = nn.Parameter(torch.ones(1, groups, 1, 1))

    def forward(self, x):
        parts = []
        for index, group in enumerate(x.chunk(self.groups, 1)):
            t = (group * nn.functional.adaptive_avg_pool2d(group, 1)).sum(1, keepdim=True)
            t = t - t.mean((2, 3), keepdim=True)
            t = t / (t.std((2, 3), keepdim=True) + 1e-5)
            parts.append(group * (t * self.weight[:, index] + self.bias[:, index]).sigmoid())
        return torch.cat(parts, 1)


@pytest.mark.parametrize("groups", [1, 4])
@pytest.mark.parametrize("size", SIZES)
def test_equals_the_authors(size, groups):
    agree(SpatialGroupEnhance(12, groups=groups), Authors(groups), torch.randn(2, 12, *size))


@pytest.mark.parametrize("x", [torch.randn(1, 8, 1, 1), torch.full((2, 8, 5, 5), 3.0), torch.zeros(2, 8, 5, 5)])
def test_maps_without_variance_have_the_gate_of_the_bias(x):
    """The authors' code gives NaN on a single position."""
    module = SpatialGroupEnhance(8, groups=2)
    nn.init.normal_(module.weight)
    x = x.requires_grad_()
    y = module(x)
    torch.testing.assert_close(y, x / (1 + math.exp(-1)))
    y.sum().backward()
    assert x.grad.isfinite().all()
    assert module.weight.grad.isfinite().all()


@pytest.mark.parametrize(("channels", "groups"), [(256, 64), (64, 64), (96, 48), (16, 16)])
def test_groups(channels, groups):
    assert SpatialGroupEnhance(channels).groups == groups


def test_refuses_groups_that_do_not_divide():
    with pytest.raises(ValueError, match="sge: 96 channels do not divide into 64 groups; set groups to 48 or 96"):
        SpatialGroupEnhance(96, groups=64)


def test_in_resnet50():
    """The authors' place, behind the last norm of every block: 16 × 128 parameters."""
    rule = {"use": "sge", "after": "branch", "expect": 16}
    assert composer.graph({"backbone": "resnet50", "attention": [rule]}).num_parameters == 25_557_032 + 2048


@pytest.mark.parametrize("backbone", ["resnet18", "vit_tiny_patch16_224", "swin_tiny_patch4_window7_224"])
def test_after_every_block(backbone):
    spec = {"backbone": backbone, "attention": [{"use": "sge", "after": "block"}]}
    if backbone == "resnet18":
        network = composer.build({**spec, "input": [3, 32, 32]}).train()
        network(torch.randn(2, 3, 32, 32)).sum().backward()
        assert all(one.grad.isfinite().all() for one in network.parameters())
    else:
        assert composer.graph(spec).num_parameters > composer.graph(backbone).num_parameters
