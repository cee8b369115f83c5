"""The convolution with standardised weights, against plain arithmetic and timm's."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from timm.layers.std_conv import ScaledStdConv2d, ScaledStdConv2dSame

from composer.layers.standardised import ScaledStandardisedConv2d


def by_loops(conv: ScaledStandardisedConv2d, gamma: float) -> np.ndarray:
    """Weights that have mean 0 and variance gamma² / n in each output, times its gain."""
    result = conv.weight.detach().numpy().copy()
    for output, weights in enumerate(result):
        spread = np.sqrt(weights.var() + conv.eps)
        gain = conv.gain[output].item()
        result[output] = gain * gamma * (weights - weights.mean()) / (spread * np.sqrt(weights.size))
    return result


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("stride", [1, 2])
def test_equals_the_equation(groups, stride):
    conv = ScaledStandardisedConv2d(4, out_channels=6, kernel_size=3, stride=stride, groups=groups, gamma=1.7).double()
    torch.nn.init.uniform_(conv.gain)
    torch.nn.init.normal_(conv.bias)
    x = torch.randn(2, 4, 7, 8, dtype=torch.float64)
    weight = torch.from_numpy(by_loops(conv, 1.7))
    expected = F.conv2d(x, weight, conv.bias, stride, padding=1, groups=groups)
    torch.testing.assert_close(conv(x), expected, rtol=0, atol=1e-12)


def test_by_hand():
    """Weights 1 and 3: mean 2, spread 1, so -1 and 1 over sqrt(2), times gamma 2 and a gain of 3."""
    conv = ScaledStandardisedConv2d(2, out_channels=1, kernel_size=1, gamma=2, gain=3.0, eps=1e-12).double()
    with torch.no_grad():
        conv.weight.copy_(torch.tensor([1.0, 3.0]).reshape(1, 2, 1, 1))
    expected = torch.tensor([-1.0, 1.0], dtype=torch.float64) * 6 / 2**0.5
    torch.testing.assert_close(conv.standardised().flatten(), expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("size", [(7, 8), (8, 9)])
@pytest.mark.parametrize("place", [(3, 1, 1), (3, 2, 1), (2, 1, 1), (5, 3, 1), (3, 2, 2), (4, 2, 1)])
def test_tensorflows_padding_is_timms(place, size):
    kernel_size, stride, dilation = place
    theirs = ScaledStdConv2dSame(4, 6, kernel_size, stride, dilation=dilation, gamma=1.7, eps=1e-5)
    settings = {"kernel_size": kernel_size, "stride": stride, "dilation": dilation}
    ours = ScaledStandardisedConv2d(4, out_channels=6, **settings, gamma=1.7, tensorflow_padding=True)
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(2, 4, *size)
    assert torch.equal(ours(x), theirs(x))


def test_even_padding_is_timms():
    theirs = ScaledStdConv2d(4, 6, 3, 2, groups=2, gamma=1.7, eps=1e-5)
    ours = ScaledStandardisedConv2d(4, out_channels=6, kernel_size=3, stride=2, groups=2, gamma=1.7)
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(2, 4, 7, 8)
    assert torch.equal(ours(x), theirs(x))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"groups": 3}, "4 input channels do not divide into 3 groups; set groups to a divisor of 4"),
        ({"groups": 4}, "6 output channels do not divide into 4 groups; set groups to a divisor of 6"),
        ({"out_channels": 4, "groups": 4}, "an output of one weight has no variance"),
        ({"padding": 1, "tensorflow_padding": True}, "exclude each other; remove one"),
    ],
)
def test_refusals(settings, said):
    with pytest.raises(ValueError, match=said):
        ScaledStandardisedConv2d(4, **{"out_channels": 6, "kernel_size": 1, **settings})
