import pytest
import torch
from mechanisms.oracle import SIZES, agree
from torch import nn

import composer
from composer.mechanisms.both.cpca import ChannelPriorAttention


class Authors(nn.Module):
    """RepBlock of Cuthbert-Huang/CPCANet, written again; without `proj`, the equations, which have its middle."""

    def __init__(self, channels, reduction, proj):
        super().__init__()
        self.proj, hidden = proj, channels // reduction
        self.fc1, self.fc2 = nn.Conv2d(channels, hidden, 1), nn.Conv2d(hidden, channels, 1)

        def conv(rows, columns):
            size, pad = (rows, columns), (rows // 2, columns // 2)
            return nn.Conv2d(channels, channels, size, padding=pad, groups=channels)

        self.dconv5_5 = conv(5, 5)
        self.crosses = nn.ModuleList(nn.Sequential(conv(1, k), conv(k, 1)) for k in (7, 11, 21))
        self.conv = nn.Conv2d(channels, channels, 1)

    def forward(self, x):
        if self.proj:
            x = nn.functional.gelu(self.conv(x))
        mean, most = nn.functional.adaptive_avg_pool2d(x, 1), nn.functional.adaptive_max_pool2d(x, 1)
        x = sum(self.fc2(self.fc1(z).relu()).sigmoid() for z in (mean, most)) * x
        u = self.dconv5_5(x)
        y = self.conv(self.crosses[0](u) + self.crosses[1](u) + self.crosses[2](u) + u) * x
        return self.conv(y) if self.proj else y


@pytest.mark.parametrize("proj", [False, True])
@pytest.mark.parametrize("size", SIZES)
def test_equals_the_authors(size, proj):
    agree(ChannelPriorAttention(8, proj=proj), Authors(8, 4, proj), torch.randn(2, 8, *size))


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (7, 7)])
def test_trains_on_one_image_of_any_size(size):
    x = torch.randn(1, 8, *size, requires_grad=True)
    ChannelPriorAttention(8).train()(x).sum().backward()
    assert x.grad.isfinite().all()


@pytest.mark.parametrize("backbone", ["resnet18", "vit_tiny_patch16_224", "swin_tiny_patch4_window7_224"])
def test_after_every_block(backbone):
    spec = {"backbone": backbone, "attention": [{"use": "cpca", "after": "block"}]}
    if backbone == "resnet18":
        network = composer.build({**spec, "input": [3, 64, 64]}).eval()
        assert network(torch.randn(2, 3, 64, 64)).isfinite().all()
    else:
        assert composer.graph(spec).num_parameters > composer.graph(backbone).num_parameters
