import pytest
import torch
from mechanisms.oracle import SIZES, agree
from torch import nn

import composer
from composer.mechanisms.both.mlca import MixedLocalChannelAttention, spread


class Authors(nn.Module):
    """MLCA.py of wandahangFY/MLCA, written again. `across`: its kernel runs from part to part, as there."""

    def __init__(self, size=5, weight=0.5, k=3, across=False):
        super().__init__()
        self.size, self.weight, self.across = size, weight, across
        self.conv, self.conv_local = (nn.Conv1d(1, 1, k, padding=k // 2, bias=False) for _ in range(2))

    def forward(self, x):
        pooled = nn.functional.adaptive_avg_pool2d(x, self.size)
        b, c = pooled.shape[:2]
        whole = self.conv(pooled.mean((2, 3))[:, None])[:, 0, :, None, None].sigmoid()
        parts = pooled.permute(0, 2, 3, 1)
        if self.across:
            local = self.conv_local(parts.reshape(b, 1, -1)).reshape(parts.shape)
        else:
            local = self.conv_local(parts.reshape(-1, 1, c)).reshape(parts.shape)
        local = local.permute(0, 3, 1, 2).sigmoid()
        gate = whole * (1 - self.weight) + local * self.weight
        return x * nn.functional.adaptive_avg_pool2d(gate, x.shape[2:])


@pytest.mark.parametrize("options", [{}, {"local_size": 3, "local_weight": 0.2, "kernel_size": 5}])
@pytest.mark.parametrize("size", SIZES)
def test_equals_the_authors_within_a_part(size, options):
    ours = MixedLocalChannelAttention(8, **options)
    theirs = Authors(ours.local_size, ours.local_weight, ours.conv.kernel_size[0])
    agree(ours, theirs, torch.randn(2, 8, *size))


def test_the_authors_differ_at_the_ends_of_a_part():
    """By the first and the last channel, with a kernel of 3."""
    ours, theirs, x = MixedLocalChannelAttention(16, kernel_size=3), Authors(across=True), torch.randn(2, 16, 10, 10)
    theirs.load_state_dict(ours.state_dict())
    difference = (ours(x) - theirs(x)).abs().amax((0, 2, 3))
    assert (difference[1:-1] < 1e-6).all()
    assert (difference[[0, -1]] > 1e-4).all()


@pytest.mark.parametrize(("parts", "length"), [(5, 7), (5, 3), (3, 3), (4, 8), (5, 1)])
def test_spread_is_adaptive_pooling(parts, length):
    x = torch.randn(2, 4, parts)
    found = x @ spread(parts, length, x).T
    torch.testing.assert_close(found, nn.functional.adaptive_avg_pool1d(x, length))


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (3, 4), (7, 7)])
def test_trains_on_one_image_of_any_size(size):
    x = torch.randn(1, 8, *size, requires_grad=True)
    MixedLocalChannelAttention(8).train()(x).sum().backward()
    assert x.grad.isfinite().all()


def test_refuses_an_even_kernel():
    with pytest.raises(ValueError, match="mlca: kernel_size=4 is even; use an odd number"):
        MixedLocalChannelAttention(8, kernel_size=4)


@pytest.mark.parametrize("backbone", ["resnet18", "vit_tiny_patch16_224", "swin_tiny_patch4_window7_224"])
def test_after_every_block(backbone):
    spec = {"backbone": backbone, "attention": [{"use": "mlca", "after": "block"}]}
    if backbone == "resnet18":
        network = composer.build({**spec, "input": [3, 64, 64]}).eval()
        assert network(torch.randn(2, 3, 64, 64)).isfinite().all()
    else:
        assert composer.graph(spec).num_parameters > composer.graph(backbone).num_parameters
