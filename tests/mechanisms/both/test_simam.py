import math

import pytest
import torch
from mechanisms.oracle import SIZES, agree
from torch import nn

import composer
from composer.mechanisms.both.simam import SimAM


class Authors(nn.Module):
    """simam_module.py of ZjjConan/SimAM, written again."""

    def __init__(self, e_lambda=1e-4):
        super().__init__()
        self.e_lambda = e_lambda

    def forward(self, x):
        n = x.shape[2] * x.shape[3] - 1
        squares = (x - x.mean((2, 3), keepdim=True)) ** 2
        energy = squares / (4 * (squares.sum((2, 3), keepdim=True) / n + self.e_lambda)) + 0.5
        return x * energy.sigmoid()


@pytest.mark.parametrize("e_lambda", [1e-4, 0.1])
@pytest.mark.parametrize("size", SIZES)
def test_equals_the_authors(size, e_lambda):
    agree(SimAM(e_lambda=e_lambda), Authors(e_lambda), torch.randn(2, 8, *size))


def test_by_hand():
    """0 and 2: mean 1, variance 2; the gates are sigmoid(1 / 8 + 1 / 2), both."""
    x = torch.tensor([0.0, 2.0], dtype=torch.float64).reshape(1, 1, 1, 2)
    gate = 1 / (1 + math.exp(-(1 / (4 * (2 + 1e-4)) + 0.5)))
    torch.testing.assert_close(SimAM()(x), gate * x, rtol=0, atol=1e-12)


def test_a_single_position_has_the_gate_of_a_mean():
    """The authors' code divides 0 by 0 there."""
    x = torch.randn(2, 8, 1, 1, requires_grad=True)
    assert Authors()(x).isnan().all()
    y = SimAM()(x)
    torch.testing.assert_close(y, x / (1 + math.exp(-0.5)))
    y.sum().backward()
    assert x.grad.isfinite().all()


def test_an_equal_map_has_the_gate_of_a_mean():
    x = torch.full((1, 2, 5, 5), 7.0)
    torch.testing.assert_close(SimAM()(x), x / (1 + math.exp(-0.5)))


def test_half_precision_beyond_its_squares():
    x = torch.tensor([-1000.0, 1000.0, 0.0, 0.0]).reshape(1, 1, 2, 2)
    torch.testing.assert_close(SimAM()(x.half()).float(), SimAM()(x), rtol=1e-3, atol=1e-3)


def test_has_no_parameters():
    module = SimAM()
    assert not list(module.state_dict())


def test_refuses_a_lambda_of_zero():
    rule = {"use": "simam", "after": "block", "with": {"e_lambda": 0.0}}
    with pytest.raises(composer.ComposerError, match="greater than 0"):
        composer.graph({"backbone": "resnet18", "attention": [rule]})


@pytest.mark.parametrize("backbone", ["resnet18", "vit_tiny_patch16_224", "swin_tiny_patch4_window7_224"])
def test_after_every_block(backbone):
    spec = {"backbone": backbone, "attention": [{"use": "simam", "after": "block"}]}
    if backbone == "resnet18":
        network = composer.build({**spec, "input": [3, 32, 32]})
        # The last maps have a single position.
        y = network(torch.randn(2, 3, 32, 32))
        y.sum().backward()
        assert all(one.grad.isfinite().all() for one in network.parameters())
    else:
        graph = composer.graph(spec)
        assert len(graph.added[0].places) == 12
        assert graph.num_parameters == composer.graph(backbone).num_parameters
