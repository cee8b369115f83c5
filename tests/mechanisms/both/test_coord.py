import pytest
import torch
from mechanisms.oracle import SIZES, agree
from timm.layers.coord_attn import CoordAttn
from torch import nn

import composer
from composer.mechanisms.both.coord import CoordinateAttention


class Authors(nn.Module):
    """coordatt.py of houqb/CoordAttention, written again."""

    def __init__(self, channels, reduction=32):
        super().__init__()
        hidden = max(8, channels // reduction)
        self.conv1 = nn.Conv2d(channels, hidden, 1)
        self.bn1 = nn.BatchNorm2d(hidden)
        self.conv_h = nn.Conv2d(hidden, channels, 1)
        self.conv_w = nn.Conv2d(hidden, channels, 1)

    def forward(self, x):
        height, width = x.shape[2:]
        rows = nn.functional.adaptive_avg_pool2d(x, (None, 1))
        columns = nn.functional.adaptive_avg_pool2d(x, (1, None)).permute(0, 1, 3, 2)
        y = self.bn1(self.conv1(torch.cat([rows, columns], 2)))
        y = y * (nn.functional.relu6(y + 3) / 6)
        rows, columns = y.split([height, width], 2)
        return x * self.conv_w(columns.permute(0, 1, 3, 2)).sigmoid() * self.conv_h(rows).sigmoid()


@pytest.mark.parametrize("size", SIZES)
def test_equals_the_authors(size):
    agree(CoordinateAttention(16), Authors(16), torch.randn(2, 16, *size))


@pytest.mark.parametrize("size", SIZES)
def test_equals_timm(size):
    ours = CoordinateAttention(16, reduction=24, round_to=8, bias=False)
    agree(ours, CoordAttn(16), torch.randn(2, 16, *size))


def test_has_timms_width_at_every_number_of_channels():
    with torch.device("meta"):
        for channels in range(8, 2049, 8):
            ours = CoordinateAttention(channels, reduction=24, round_to=8, bias=False)
            assert ours.conv1.weight.shape == CoordAttn(channels).conv1.weight.shape, channels


def test_a_gate_of_a_row_and_a_gate_of_a_column():
    """Without weights behind the norm, logits are biases: ln 3 for rows is 3/4, -ln 3 for columns 1/4."""
    module = CoordinateAttention(2).eval()
    for layer, bias in ((module.conv_h, 3.0), (module.conv_w, 1 / 3)):
        nn.init.zeros_(layer.weight)
        nn.init.constant_(layer.bias, torch.tensor(bias).log().item())
    x = torch.randn(1, 2, 3, 4)
    torch.testing.assert_close(module(x), x * 3 / 16)


@pytest.mark.parametrize("size", [(1, 1), (7, 7), (13, 17)])
def test_trains_on_one_image_of_any_size(size):
    x = torch.randn(1, 16, *size, requires_grad=True)
    CoordinateAttention(16).train()(x).sum().backward()
    assert x.grad.isfinite().all()


@pytest.mark.parametrize(
    ("channels", "options", "count"),
    [(64, {}, 1688), (64, {"reduction": 24, "round_to": 8, "bias": False}, 1552), (1024, {"bias": False}, 98368)],
)
def test_parameters(channels, options, count):
    assert sum(p.numel() for p in CoordinateAttention(channels, **options).parameters()) == count


def test_the_authors_mobilenetv2():
    """Behind the depthwise activation of every block but the first, which does not expand: the paper prints 3.95 M."""
    rule = {"use": "coord", "after": "blocks.*.*.act2", "expect": 16}
    assert composer.graph({"backbone": "mobilenetv2_100", "attention": [rule]}).num_parameters == 3_950_648


@pytest.mark.parametrize("backbone", ["resnet18", "vit_tiny_patch16_224", "swin_tiny_patch4_window7_224"])
def test_after_every_block(backbone):
    spec = {"backbone": backbone, "attention": [{"use": "coord", "after": "block"}]}
    if backbone == "resnet18":
        network = composer.build({**spec, "input": [3, 64, 64]}).eval()
        assert network(torch.randn(2, 3, 64, 64)).isfinite().all()
    else:
        assert composer.graph(spec).num_parameters > composer.graph(backbone).num_parameters
