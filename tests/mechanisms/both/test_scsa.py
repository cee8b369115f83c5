import pytest
import torch
from mechanisms.oracle import SIZES, agree
from torch import nn

import composer
from composer.mechanisms.both.scsa import SynergisticAttention, windows


class Authors(nn.Module):
    """SCSA.py of HZAI-ZJNU/SCSA with average pooling, written again: rows, then columns, and stored weights."""

    def __init__(self, channels, heads, window):
        super().__init__()
        self.heads, self.window = heads, window
        part = channels // 4
        self.convs = nn.ModuleList(nn.Conv1d(part, part, k, padding=k // 2, groups=part) for k in (3, 5, 7, 9))
        self.norm_h, self.norm_w = nn.GroupNorm(4, channels), nn.GroupNorm(4, channels)
        self.norm = nn.GroupNorm(1, channels)
        self.q, self.k, self.v = (nn.Conv2d(channels, channels, 1, bias=False, groups=channels) for _ in range(3))

    def strip(self, z):
        return torch.cat([conv(part) for conv, part in zip(self.convs, z.chunk(4, 1), strict=True)], 1)

    def forward(self, x):
        rows = self.norm_h(self.strip(x.mean(3))).sigmoid()[:, :, :, None]
        columns = self.norm_w(self.strip(x.mean(2))).sigmoid()[:, :, None, :]
        x = x * rows * columns
        z = self.norm(nn.functional.avg_pool2d(x, self.window, self.window))
        b, c = z.shape[:2]
        q, k, v = (one.reshape(b, self.heads, c // self.heads, -1) for one in (self.q(z), self.k(z), self.v(z)))
        weights = (q @ k.transpose(2, 3) * (c // self.heads) ** -0.5).softmax(3)
        return (weights @ v).reshape(b, c, -1).mean(2).sigmoid()[:, :, None, None] * x


@pytest.mark.parametrize(("heads", "window"), [(2, 7), (4, 3)])
@pytest.mark.parametrize("size", SIZES)
def test_equals_the_authors(size, heads, window):
    ours = SynergisticAttention(16, *size, num_heads=heads, window=window)
    theirs = Authors(16, heads, tuple(min(window, length) for length in size))
    agree(ours, theirs, torch.randn(2, 16, *size))


def test_windows_grow_with_the_map():
    x = torch.randn(2, 14)
    assert torch.equal(windows(7, 14, 14, x), torch.eye(2).repeat_interleave(7, 1) / 7)
    assert torch.equal(windows(7, 14, 28, x), torch.eye(2).repeat_interleave(14, 1) / 14)
    assert torch.equal(windows(7, 28, 2, x), torch.eye(2).repeat_interleave(2, 0))
    # The last rows of a map that windows do not fill are left out.
    assert torch.equal(windows(7, 10, 10, x).sum(0), torch.tensor([1 / 7] * 7 + [0.0] * 3))


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (3, 4), (7, 7)])
def test_trains_on_one_image_of_any_size(size):
    x = torch.randn(1, 16, *size, requires_grad=True)
    y = SynergisticAttention(16, *size).train()(x)
    y.sum().backward()
    assert y.isfinite().all()
    assert x.grad.isfinite().all()


@pytest.mark.parametrize(
    ("channels", "options", "said"),
    [
        (18, {}, "scsa: 18 channels have no four quarters; put it where 4 divides their number"),
        (20, {}, "scsa: 20 channels do not divide into 8 heads; set num_heads to 5 or 10"),
    ],
)
def test_refusals(channels, options, said):
    with pytest.raises(ValueError, match=said):
        SynergisticAttention(channels, 7, 7, **options)


@pytest.mark.parametrize("backbone", ["resnet18", "vit_tiny_patch16_224", "swin_tiny_patch4_window7_224"])
def test_after_every_block(backbone):
    spec = {"backbone": backbone, "attention": [{"use": "scsa", "after": "block"}]}
    if backbone == "resnet18":
        network = composer.build({**spec, "input": [3, 64, 64]}).eval()
        assert network(torch.randn(2, 3, 64, 64)).isfinite().all()
    else:
        assert composer.graph(spec).num_parameters > composer.graph(backbone).num_parameters
