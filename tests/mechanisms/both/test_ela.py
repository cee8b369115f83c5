import pytest
import torch
from mechanisms.oracle import SIZES, agree
from torch import nn

import composer
from composer.mechanisms.both.ela import EfficientLocalAttention

# Kernel, groups of the convolution and groups of the norm, as the copies that circulate have them.
COPIES = {"tiny": (5, 1, 32), "base": (7, 1, 16), "small": (5, 8, 16), "large": (7, 8, 16)}


class Copies(nn.Module):
    """What circulates as ELA, written again: it convolves rows, then columns."""

    def __init__(self, channels, size):
        super().__init__()
        kernel_size, together, groups = COPIES[size]
        pad = kernel_size // 2
        self.conv = nn.Conv1d(channels, channels, kernel_size, padding=pad, groups=channels // together, bias=False)
        self.gn = nn.GroupNorm(groups, channels)

    def forward(self, x):
        rows = self.gn(self.conv(x.mean(3))).sigmoid()[:, :, :, None]
        columns = self.gn(self.conv(x.mean(2))).sigmoid()[:, :, None, :]
        return x * rows * columns


@pytest.mark.parametrize("kind", list(COPIES))
@pytest.mark.parametrize("size", SIZES)
def test_equals_the_copies(size, kind):
    agree(EfficientLocalAttention(32, size=kind), Copies(32, kind), torch.randn(2, 32, *size))


def test_by_hand():
    """Rows of means 1 and 3 under a kernel of the centre: normalised -1 and 1. Columns are equal: normalised 0."""
    module = EfficientLocalAttention(1, norm_groups=1).double()
    with torch.no_grad():
        module.conv.weight.zero_()
        module.conv.weight[0, 0, 3] = 1
    x = torch.tensor([[[[1.0, 1.0], [3.0, 3.0]]]], dtype=torch.float64)
    gates = torch.tensor([-1.0, 1.0], dtype=torch.float64).sigmoid()[:, None] / 2
    torch.testing.assert_close(module(x)[0, 0], x[0, 0] * gates, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("channels", "options", "groups"),
    [(64, {}, 16), (64, {"size": "tiny"}, 32), (24, {}, 12), (20, {"norm_groups": 1}, 1), (144, {"size": "tiny"}, 24)],
)
def test_groups_of_the_norm(channels, options, groups):
    assert EfficientLocalAttention(channels, **options).gn.num_groups == groups


@pytest.mark.parametrize(
    ("channels", "options", "said"),
    [
        (24, {"norm_groups": 16}, "24 channels do not divide into 16 groups of the norm; set norm_groups to 12 or 24"),
        (
            20,
            {"size": "large"},
            "size=large convolves 8 channels together, which 20 do not divide into; set size to tiny",
        ),
    ],
)
def test_refusals(channels, options, said):
    with pytest.raises(ValueError, match=f"ela: {said}"):
        EfficientLocalAttention(channels, **options)


@pytest.mark.parametrize("channels", [3, 32])
@pytest.mark.parametrize("size", [(1, 1), (1, 7), (7, 7), (13, 17)])
def test_trains_on_one_image_of_any_size(size, channels):
    x = torch.randn(1, channels, *size, requires_grad=True)
    y = EfficientLocalAttention(channels).train()(x)
    y.sum().backward()
    assert y.isfinite().all()
    assert x.grad.isfinite().all()


@pytest.mark.parametrize(("size", "count"), [("tiny", 448), ("base", 576), ("small", 2688), ("large", 3712)])
def test_parameters(size, count):
    assert sum(p.numel() for p in EfficientLocalAttention(64, size=size).parameters()) == count


@pytest.mark.parametrize("backbone", ["resnet18", "vit_tiny_patch16_224", "swin_tiny_patch4_window7_224"])
def test_after_every_block(backbone):
    spec = {"backbone": backbone, "attention": [{"use": "ela", "after": "block"}]}
    if backbone == "resnet18":
        network = composer.build({**spec, "input": [3, 32, 32]}).eval()
        assert network(torch.randn(1, 3, 32, 32)).isfinite().all()
    else:
        assert composer.graph(spec).num_parameters > composer.graph(backbone).num_parameters
