import pytest
import torch
from mechanisms.oracle import SIZES, agree
from segmentation_models_pytorch.base.modules import SCSEModule
from torch import nn

import composer
from composer.mechanisms.both.scse import ConcurrentExcitation
from composer.mechanisms.channel.cse import ChannelExcitation
from composer.mechanisms.spatial.sse import SpatialExcitation


class Channel(nn.Module):
    """ChannelSELayer of ai-med/squeeze_and_excitation, written again."""

    def __init__(self, channels, reduction):
        super().__init__()
        self.fc1 = nn.Linear(channels, channels // reduction)
        self.fc2 = nn.Linear(channels // reduction, channels)

    def forward(self, x):
        gate = self.fc2(self.fc1(x.flatten(2).mean(2)).relu()).sigmoid()
        return x * gate[:, :, None, None]


class Spatial(nn.Module):
    """SpatialSELayer, written again."""

    def __init__(self, channels):
        super().__init__()
        self.conv = nn.Conv2d(channels, 1, 1)

    def forward(self, x):
        return x * torch.sigmoid(self.conv(x))


class Both(nn.Module):
    """ChannelSpatialSELayer, written again."""

    def __init__(self, channels, reduction):
        super().__init__()
        self.channel, self.spatial = Channel(channels, reduction), Spatial(channels)

    def forward(self, x):
        return torch.max(self.channel(x), self.spatial(x))


def to_linear(state):
    return {name: one[..., 0, 0] if "fc" in name and "weight" in name else one for name, one in state.items()}


def to_smp(state):
    names = {"channel.fc1": "cSE.1", "channel.fc2": "cSE.3", "spatial.conv": "sSE.0"}
    return {
        f"{names[layer]}.{part}": one for (layer, _, part), one in ((k.rpartition("."), v) for k, v in state.items())
    }


@pytest.mark.parametrize("size", SIZES)
def test_equals_the_authors(size):
    x = torch.randn(2, 12, *size)
    agree(ConcurrentExcitation(12), Both(12, 2), x, carry=to_linear)
    agree(ChannelExcitation(12), Channel(12, 2), x, carry=to_linear)
    agree(SpatialExcitation(12), Spatial(12), x)


@pytest.mark.parametrize("size", SIZES)
def test_equals_segmentation_models_pytorch(size):
    ours = ConcurrentExcitation(32, reduction=16, fuse="add")
    agree(ours, SCSEModule(32), torch.randn(2, 32, *size), carry=to_smp)


@pytest.mark.parametrize("fuse", ["max", "add"])
def test_values_are_factors_of_negative_numbers_too(fuse):
    module = ConcurrentExcitation(4, fuse=fuse)
    for one in module.parameters():
        nn.init.normal_(one)
    x = torch.tensor([-2.0, 0.0, 1.0, 3.0]).reshape(1, 4, 1, 1).expand(2, 4, 3, 5)
    torch.testing.assert_close(module(x), x * module.attention(x))


def test_works_on_sequences_and_videos():
    image, x = ConcurrentExcitation(8), torch.randn(2, 8, 4, 15)
    for dims, shape in ((1, (60,)), (3, (4, 3, 5))):
        other = ConcurrentExcitation(8, dims)
        state = {name: one.reshape(other.state_dict()[name].shape) for name, one in image.state_dict().items()}
        other.load_state_dict(state)
        torch.testing.assert_close(other(x.reshape(2, 8, *shape)).reshape(x.shape), image(x))


@pytest.mark.parametrize("size", [(1, 1), (7, 7), (13, 17)])
def test_trains_on_one_image_of_any_size(size):
    x = torch.randn(1, 16, *size, requires_grad=True)
    ConcurrentExcitation(16).train()(x).sum().backward()
    assert x.grad.isfinite().all()


@pytest.mark.parametrize(
    ("module", "count"),
    [
        (ConcurrentExcitation(64), 4257),
        (ConcurrentExcitation(64, reduction=16), 645),
        (ChannelExcitation(64), 4192),
        (ChannelExcitation(1), 4),
        (SpatialExcitation(64), 65),
    ],
)
def test_parameters(module, count):
    assert sum(p.numel() for p in module.parameters()) == count


@pytest.mark.parametrize("backbone", ["resnet18", "vit_tiny_patch16_224", "swin_tiny_patch4_window7_224"])
@pytest.mark.parametrize("name", ["scse", "cse", "sse"])
def test_after_every_block(backbone, name):
    spec = {"backbone": backbone, "attention": [{"use": name, "after": "block"}]}
    if backbone == "resnet18":
        network = composer.build({**spec, "input": [3, 64, 64]}).eval()
        assert network(torch.randn(2, 3, 64, 64)).isfinite().all()
    else:
        assert composer.graph(spec).num_parameters > composer.graph(backbone).num_parameters
