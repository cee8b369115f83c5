import pytest
import torch
from mechanisms.oracle import SIZES, agree
from torch import nn

import composer
from composer.mechanisms.both.gam import GlobalAttentionMechanism


class Copy(nn.Module):
    """GAM.py of z1069614715/objectdetection_script, written again: linear maps of each position's channels."""

    def __init__(self, channels, rate=4):
        super().__init__()
        hidden = channels // rate
        self.fc1, self.fc2 = nn.Linear(channels, hidden), nn.Linear(hidden, channels)
        self.conv1, self.bn1 = nn.Conv2d(channels, hidden, 7, padding=3), nn.BatchNorm2d(hidden)
        self.conv2, self.bn2 = nn.Conv2d(hidden, channels, 7, padding=3), nn.BatchNorm2d(channels)

    def forward(self, x):
        gate = self.fc2(self.fc1(x.permute(0, 2, 3, 1)).relu()).permute(0, 3, 1, 2).sigmoid()
        x = x * gate
        return x * self.bn2(self.conv2(self.bn1(self.conv1(x)).relu())).sigmoid()


def carry(state):
    return {name: one[..., 0, 0] if "fc" in name and "weight" in name else one for name, one in state.items()}


@pytest.mark.parametrize("size", SIZES)
def test_equals_the_copy(size):
    agree(GlobalAttentionMechanism(8), Copy(8), torch.randn(2, 8, *size), carry=carry)


@pytest.mark.parametrize(("batch", "size"), [(1, (1, 2)), (2, (1, 1)), (1, (7, 7))])
def test_trains_on_small_maps(batch, size):
    x = torch.randn(batch, 8, *size, requires_grad=True)
    GlobalAttentionMechanism(8).train()(x).sum().backward()
    assert x.grad.isfinite().all()


def test_refuses_an_even_kernel():
    with pytest.raises(ValueError, match="gam: kernel_size=4 is even; use an odd number"):
        GlobalAttentionMechanism(8, kernel_size=4)


@pytest.mark.parametrize("backbone", ["resnet18", "vit_tiny_patch16_224", "swin_tiny_patch4_window7_224"])
def test_after_every_block(backbone):
    spec = {"backbone": backbone, "attention": [{"use": "gam", "after": "block"}]}
    if backbone == "resnet18":
        network = composer.build({**spec, "input": [3, 64, 64]}).eval()
        assert network(torch.randn(2, 3, 64, 64)).isfinite().all()
    else:
        assert composer.graph(spec).num_parameters > composer.graph(backbone).num_parameters
