import pytest
import torch
from mechanisms.oracle import SIZES, agree
from torch import nn

import composer
from composer.mechanisms.both.caa import ContextAnchorAttention


class Authors(nn.Module):
    """CAA of the authors' pkinet.py, written again."""

    def __init__(self, channels, k, norm):
        super().__init__()
        self.norm = norm
        self.conv1, self.conv2 = (nn.Conv2d(channels, channels, 1, bias=not norm) for _ in range(2))
        self.conv_h = nn.Conv2d(channels, channels, (1, k), 1, (0, k // 2), groups=channels)
        self.conv_v = nn.Conv2d(channels, channels, (k, 1), 1, (k // 2, 0), groups=channels)
        if norm:
            self.bn1, self.bn2 = (nn.BatchNorm2d(channels, momentum=0.03, eps=0.001) for _ in range(2))

    def forward(self, x):
        # The zeros around the map count.
        padded = nn.functional.pad(x, (3, 3, 3, 3))
        z = self.conv1(padded.unfold(2, 7, 1).unfold(3, 7, 1).mean((4, 5)))
        z = nn.functional.silu(self.bn1(z)) if self.norm else z
        z = self.conv2(self.conv_v(self.conv_h(z)))
        z = nn.functional.silu(self.bn2(z)) if self.norm else z
        return x * z.sigmoid()


@pytest.mark.parametrize(("k", "norm"), [(11, True), (5, False)])
@pytest.mark.parametrize("size", SIZES)
def test_equals_the_authors(size, k, norm):
    agree(ContextAnchorAttention(6, kernel_size=k, norm=norm), Authors(6, k, norm), torch.randn(2, 6, *size))


@pytest.mark.parametrize(("batch", "norm", "size"), [(1, False, (1, 1)), (2, True, (1, 1)), (1, True, (7, 7))])
def test_trains_on_small_maps(batch, norm, size):
    x = torch.randn(batch, 8, *size, requires_grad=True)
    ContextAnchorAttention(8, norm=norm).train()(x).sum().backward()
    assert x.grad.isfinite().all()


@pytest.mark.parametrize(("norm", "count"), [(True, 9984), (False, 9856)])
def test_parameters(norm, count):
    assert sum(p.numel() for p in ContextAnchorAttention(64, norm=norm).parameters()) == count


def test_refuses_an_even_kernel():
    with pytest.raises(ValueError, match="caa: kernel_size=4 is even; use an odd number"):
        ContextAnchorAttention(8, kernel_size=4)


@pytest.mark.parametrize("backbone", ["resnet18", "vit_tiny_patch16_224", "swin_tiny_patch4_window7_224"])
def test_after_every_block(backbone):
    spec = {"backbone": backbone, "attention": [{"use": "caa", "after": "block"}]}
    if backbone == "resnet18":
        network = composer.build({**spec, "input": [3, 64, 64]}).eval()
        assert network(torch.randn(2, 3, 64, 64)).isfinite().all()
    else:
        assert composer.graph(spec).num_parameters > composer.graph(backbone).num_parameters
