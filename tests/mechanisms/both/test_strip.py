import pytest
import torch
from mechanisms.oracle import SIZES, agree
from torch import nn

import composer
from composer.mechanisms.both.strip import StripPooling


class Authors(nn.Module):
    """SPBlock of houqb/SPNet and the product with it in their bottleneck, written again."""

    def __init__(self, channels):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, (3, 1), padding=(1, 0), bias=False)
        self.conv2 = nn.Conv2d(channels, channels, (1, 3), padding=(0, 1), bias=False)
        self.bn1, self.bn2 = nn.BatchNorm2d(channels), nn.BatchNorm2d(channels)
        self.conv3 = nn.Conv2d(channels, channels, 1)

    def forward(self, x):
        rows = self.bn1(self.conv1(nn.functional.adaptive_avg_pool2d(x, (None, 1)))).expand(x.shape)
        columns = self.bn2(self.conv2(nn.functional.adaptive_avg_pool2d(x, (1, None)))).expand(x.shape)
        return x * self.conv3(nn.functional.relu(rows + columns)).sigmoid()


@pytest.mark.parametrize("size", SIZES)
def test_equals_the_authors(size):
    agree(StripPooling(8), Authors(8), torch.randn(2, 8, *size))


@pytest.mark.parametrize(("batch", "size"), [(1, (2, 2)), (2, (1, 1)), (2, (1, 7)), (1, (7, 7))])
def test_trains_on_small_maps(batch, size):
    x = torch.randn(batch, 8, *size, requires_grad=True)
    StripPooling(8).train()(x).sum().backward()
    assert x.grad.isfinite().all()


@pytest.mark.parametrize("backbone", ["resnet18", "vit_tiny_patch16_224", "swin_tiny_patch4_window7_224"])
def test_after_every_block(backbone):
    spec = {"backbone": backbone, "attention": [{"use": "strip", "after": "block"}]}
    if backbone == "resnet18":
        network = composer.build({**spec, "input": [3, 64, 64]}).eval()
        assert network(torch.randn(2, 3, 64, 64)).isfinite().all()
    else:
        assert composer.graph(spec).num_parameters > composer.graph(backbone).num_parameters
