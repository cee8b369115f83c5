import pytest
import torch
from mechanisms.oracle import SIZES, agree
from torch import nn

import composer
from composer.mechanisms.both.ema import EfficientMultiScaleAttention as EMA


class Authors(nn.Module):
    """EMA_attention_module of YOLOonMe/EMA-attention-module, written again, a group at a time."""

    def __init__(self, channels, factor):
        super().__init__()
        self.groups, width = factor, channels // factor
        self.gn = nn.GroupNorm(width, width)
        self.conv1x1 = nn.Conv2d(width, width, 1)
        self.conv3x3 = nn.Conv2d(width, width, 3, padding=1)

    def one(self, x):
        d, h, w = x.shape[1:]
        rows = nn.functional.adaptive_avg_pool2d(x, (None, 1))
        columns = nn.functional.adaptive_avg_pool2d(x, (1, None)).permute(0, 1, 3, 2)
        rows, columns = self.conv1x1(torch.cat([rows, columns], 2)).split([h, w], 2)
        x1 = self.gn(x * rows.sigmoid() * columns.permute(0, 1, 3, 2).sigmoid())
        x2 = self.conv3x3(x)
        logits = 0
        for weighing, weighed in ((x1, x2), (x2, x1)):
            shares = weighing.mean((2, 3)).softmax(1)
            logits = logits + sum(shares[:, k, None, None] * weighed[:, k] for k in range(d))
        return x * logits[:, None].sigmoid()

    def forward(self, x):
        return torch.cat([self.one(part) for part in x.chunk(self.groups, 1)], 1)


@pytest.mark.parametrize("groups", [2, 6])
@pytest.mark.parametrize("size", SIZES)
def test_equals_the_authors(size, groups):
    agree(EMA(12, groups=groups), Authors(12, groups), torch.randn(2, 12, *size))


@pytest.mark.parametrize(("channels", "groups"), [(64, 32), (144, 24), (96, 32), (16, 16), (20, 20), (37, 1)])
def test_groups(channels, groups):
    module = EMA(channels)
    assert module.groups == groups
    assert module(torch.randn(2, channels, 4, 5)).shape == (2, channels, 4, 5)


def test_refuses_groups_that_do_not_divide():
    with pytest.raises(ValueError, match="ema: 144 channels do not divide into 32 groups; set groups to 24 or 36"):
        EMA(144, groups=32)


@pytest.mark.parametrize("groups", [1, 2])
def test_a_single_position_has_a_gate_of_the_convolution(groups):
    """The norm of one value is its bias, whatever the value; nothing is NaN, and x still decides."""
    module = EMA(8, groups=groups).double()
    nn.init.normal_(module.gn.bias)
    x = torch.randn(1, 8, 1, 1, dtype=torch.float64, requires_grad=True)
    y = module(x)
    y.sum().backward()
    assert y.isfinite().all()
    assert x.grad.isfinite().all()
    assert module.conv1x1.weight.grad.abs().max() < 1e-12
    assert module.conv3x3.weight.grad.abs().max() > 1e-6


@pytest.mark.parametrize("size", [(1, 7), (7, 7), (13, 17)])
def test_trains_on_one_image(size):
    x = torch.randn(1, 64, *size, requires_grad=True)
    EMA(64).train()(x).sum().backward()
    assert x.grad.isfinite().all()


@pytest.mark.parametrize(("groups", "count"), [(None, 48), (8, 672)])
def test_parameters(groups, count):
    assert sum(p.numel() for p in EMA(64, groups=groups).parameters()) == count


def test_the_authors_mobilenetv2():
    """Behind the depthwise activation of every block that expands: the paper prints 3.55 M."""
    rule = {"use": "ema", "after": "blocks.*.*.act2", "expect": 16}
    assert composer.graph({"backbone": "mobilenetv2_100", "attention": [rule]}).num_parameters == 3_550_142


@pytest.mark.parametrize("backbone", ["resnet18", "vit_tiny_patch16_224", "swin_tiny_patch4_window7_224"])
def test_after_every_block(backbone):
    spec = {"backbone": backbone, "attention": [{"use": "ema", "after": "block"}]}
    if backbone == "resnet18":
        network = composer.build({**spec, "input": [3, 64, 64]}).eval()
        assert network(torch.randn(2, 3, 64, 64)).isfinite().all()
    else:
        assert composer.graph(spec).num_parameters > composer.graph(backbone).num_parameters
