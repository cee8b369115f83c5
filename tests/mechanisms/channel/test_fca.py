import math

import pytest
import torch
from mechanisms.oracle import SIZES, agree
from torch import nn

import composer
from composer.mechanisms.channel.fca import FrequencyChannelAttention

# Row and column of each frequency, from `get_freq_indices` of cfzd/FcaNet.
PAIRS = {
    "top": "00 01 60 05 02 10 12 40 50 16 30 04 06 03 35 22 46 63 33 53 55 21 61 52 54 32 31 41 23 20 65 13",
    "low": "00 01 10 11 02 20 21 12 22 03 30 40 04 13 31 05 14 23 32 41 50 06 15 24 33 42 51 60 16 25 34 43",
    "bottom": "66 14 34 36 26 43 11 24 44 45 56 15 42 62 25 51 64 13 65 20 23 41 31 32 54 52 61 21 55 53 33 63",
}


class Authors(nn.Module):
    """MultiSpectralAttentionLayer of cfzd/FcaNet, written again: a filter for each channel."""

    def __init__(self, channels, height, width, select, count, reduction):
        super().__init__()
        self.fc1 = nn.Linear(channels, channels // reduction, bias=False)
        self.fc2 = nn.Linear(channels // reduction, channels, bias=False)
        filters = torch.zeros(channels, height, width)
        part = channels // count
        for index, pair in enumerate(PAIRS[select].split()[:count]):
            u, v = int(pair[0]) * (height // 7), int(pair[1]) * (width // 7)
            for i in range(height):
                for j in range(width):
                    value = math.cos(math.pi * u * (i + 0.5) / height) / math.sqrt(height)
                    value *= math.cos(math.pi * v * (j + 0.5) / width) / math.sqrt(width)
                    value *= math.sqrt(2) ** ((u > 0) + (v > 0))
                    filters[index * part : (index + 1) * part, i, j] = value
        self.register_buffer("filters", filters, persistent=False)

    def forward(self, x):
        if x.shape[2:] != self.filters.shape[1:]:
            x = nn.functional.adaptive_avg_pool2d(x, self.filters.shape[1:])
        z = (x * self.filters).sum((2, 3))
        return self.fc2(self.fc1(z).relu()).sigmoid()[:, :, None, None]


class Whole(nn.Module):
    """The gate times the map."""

    def __init__(self, *options):
        super().__init__()
        self.gate = Authors(*options)

    def forward(self, x):
        return x * self.gate(x)


def carry(state):
    return {f"gate.{name}": one for name, one in state.items()}


@pytest.mark.parametrize(("select", "count"), [("top", 16), ("low", 8), ("bottom", 32)])
@pytest.mark.parametrize("size", SIZES)
def test_equals_the_authors(size, select, count, double):
    ours = FrequencyChannelAttention(32, *size, frequencies=count, select=select, reduction=4)
    # Below 7 both pool to 7.
    theirs = Whole(32, *(max(7, length) for length in size), select, count, 4)
    agree(ours, theirs, torch.randn(2, 32, *size), carry=carry)


def test_another_size_is_pooled_as_the_authors_do(double):
    ours, theirs = FrequencyChannelAttention(16, 14, 14, reduction=4), Whole(16, 14, 14, "top", 16, 4)
    for size in ((28, 20), (9, 30)):
        agree(ours, theirs, torch.randn(2, 16, *size), carry=carry)


@pytest.mark.parametrize("select", PAIRS)
def test_frequencies_are_orthonormal(select):
    """So none comes twice."""
    basis = FrequencyChannelAttention(32, 7, 7, frequencies=32, select=select).basis[:, :, 0]
    torch.testing.assert_close(basis @ basis.T, torch.eye(32), rtol=0, atol=1e-6)


def test_the_first_frequency_is_the_mean():
    module, x = FrequencyChannelAttention(8, 14, 14, frequencies=1, reduction=1), torch.randn(2, 8, 14, 14)
    z = module.fc2(module.fc1(14 * x.mean((2, 3))).relu()).sigmoid()
    torch.testing.assert_close(module.attention(x)[:, :, 0, 0], z)


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (4, 7)])
def test_small_maps_are_stretched(size):
    """The authors' code scales all frequencies by 0 there."""
    module, x = FrequencyChannelAttention(16, *size), torch.randn(1, 16, *size, requires_grad=True)
    assert module.size == (7, 7)
    module.train()(x).sum().backward()
    assert x.grad.isfinite().all()
    large = FrequencyChannelAttention(16, 7, 7)
    large.load_state_dict(module.state_dict())
    torch.testing.assert_close(module.attention(x), large.attention(nn.functional.adaptive_avg_pool2d(x, 7)))


@pytest.mark.parametrize(("channels", "count"), [(256, 16), (24, 8), (20, 4), (37, 1)])
def test_number_of_frequencies(channels, count):
    assert FrequencyChannelAttention(channels, 7, 7).frequencies == count


def test_refuses_frequencies_that_do_not_divide():
    said = "fca: 24 channels do not divide into 16 frequencies; set frequencies to 8, or leave it out"
    with pytest.raises(ValueError, match=said):
        FrequencyChannelAttention(24, 7, 7, frequencies=16)


def test_in_resnet50():
    """As many as with `se` without biases: a frequency has nothing to learn."""
    rule = {"use": "fca", "after": "branch", "expect": 16}
    assert composer.graph({"backbone": "resnet50", "attention": [rule]}).num_parameters == 28_071_976
    rule = {"use": "se", "after": "branch", "with": {"bias": False}}
    assert composer.graph({"backbone": "resnet50", "attention": [rule]}).num_parameters == 28_071_976


@pytest.mark.parametrize("backbone", ["resnet18", "vit_tiny_patch16_224", "swin_tiny_patch4_window7_224"])
def test_after_every_block(backbone):
    spec = {"backbone": backbone, "attention": [{"use": "fca", "after": "block"}]}
    if backbone == "resnet18":
        network = composer.build({**spec, "input": [3, 64, 64]}).eval()
        assert network(torch.randn(2, 3, 64, 64)).isfinite().all()
    else:
        assert composer.graph(spec).num_parameters > composer.graph(backbone).num_parameters
